"""Choosing images of one's own: a folder or an archive by its path where the app runs on the same machine, or a ZIP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ui.choosers.machine import may_name_paths

if TYPE_CHECKING:
    from camdrop.data.own_images import OwnImages

_STORE = "own.images"  # in the session: pages share them


def choose_own_images(key: str) -> OwnImages | None:
    """The images that this session has of its own, after asking for others; None where there are none yet.

    DataError where what was given cannot be read; what there was before stays.
    """
    from camdrop.data.own_images import own_title, read_own_images

    store = st.session_state
    taken: tuple[str, OwnImages | None] = store.get(_STORE, ("", None))
    if may_name_paths():
        with st.form(f"{key}.own.form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            typed = st.text_input("Folder or archive on this machine", key=f"{key}.own.path", placeholder="~/photos")
            if st.form_submit_button("Open") and typed.strip():
                with st.spinner("Reading the images …"):
                    taken = store[_STORE] = ("", read_own_images(Path(typed.strip()).expanduser()))
    file = st.file_uploader("A ZIP of images", type=["zip", "tar", "gz", "tgz"], key=f"{key}.own.file")
    if file is not None and file.file_id not in (taken[0], store.get(f"{_STORE}.seen")):
        with st.spinner("Reading the images …"):
            store[f"{_STORE}.seen"] = file.file_id  # it stays in its widget, but is read once
            taken = store[_STORE] = (file.file_id, read_own_images(Path(file.name), file.getvalue()))
    st.caption("One folder a class, or all in one. They stay in your session: a link cannot carry them.")
    if taken[1] is not None:
        for note in (f"{own_title(taken[1].info)}: {len(taken[1].split):,} images.", *taken[1].notes):
            st.text(note)
    return taken[1]

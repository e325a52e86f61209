"""Where the browser is, seen from the app."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from camdrop.policy import is_local, policy


def same_machine() -> bool:
    """Whether the browser is on the machine that runs the app: by path, others would learn which files it has."""
    return policy().paths and is_local(urlsplit(st.context.url or "").hostname or "") and st.context.ip_address is None

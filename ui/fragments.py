"""Parts of a page that run by themselves, and what becomes of a library's error in them."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import ParamSpec

import streamlit as st

from ui.words import literal

P = ParamSpec("P")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say the library's error, a ValueError of one sentence, in place of what was to be drawn; the log has the rest."""
    try:
        yield
    except ValueError as error:
        logging.getLogger(__name__).warning("said on a page", exc_info=True)
        st.error(literal(error), icon=":material/error:")


def fragment(function: Callable[P, None], *, run_every: float | None = None) -> Callable[P, None]:
    """`st.fragment`, with errors `told`: the one to use, as Streamlit would show a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with told():
            function(*args, **kwargs)

    return st.fragment(run, run_every=run_every)

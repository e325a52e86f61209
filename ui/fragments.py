"""What becomes of a library's error on a page: in the page, in its fragments, in callbacks and in downloads."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import streamlit as st

from ui.words import literal

P = ParamSpec("P")
T = TypeVar("T")
_ERRORS = (ValueError, OSError)  # those of the library are of one sentence


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say an error in place of what was to be drawn; the log has the rest."""
    try:
        yield
    except _ERRORS as error:
        _log()
        _say(str(error))


def or_nothing(make: Callable[[], list[T]]) -> list[T]:
    """What nobody has asked for yet; nothing in place of an error, which is told to whoever asks."""
    try:
        return make()
    except _ERRORS:
        _log()
        return []


def fragment(function: Callable[P, None], *, run_every: float | None = None) -> Callable[P, None]:
    """`st.fragment`, with errors `told`: the one to use, as Streamlit would show a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        tell_waiting()
        with told():
            function(*args, **kwargs)

    return st.fragment(run, run_every=run_every)


def callback(function: Callable[P, None]) -> Callable[P, None]:
    """A function that Streamlit calls before a run (`on_click`, …), with its error told as that run begins."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except _ERRORS as error:
            _log()
            _waiting().append(str(error))

    return call


def prepared(make: Callable[[], T]) -> Callable[[], T]:
    """What prepares a download when that is pressed, with its error told as the next run begins.

    It runs outside of any run, so that at once the browser says no more than that it failed.
    """
    waiting = _waiting()

    def call() -> T:
        try:
            return make()
        except _ERRORS as error:
            waiting.append(str(error))
            raise

    return call


def tell_waiting() -> None:
    """Say the errors of callbacks and downloads."""
    waiting = _waiting()
    while waiting:
        _say(waiting.pop(0))


def _waiting() -> list[str]:
    return st.session_state.setdefault("problems", [])


def _say(sentence: str) -> None:
    st.error(literal(sentence), icon=":material/error:")


def _log() -> None:
    logging.getLogger(__name__).warning("on a page", exc_info=True)

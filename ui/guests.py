"""People on a shared server: whether there is room for one more, and which runs are theirs.

How much room there is, `camdrop.policy` says; on one's own machine there always is some, and all runs are one's own.
"""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import streamlit as st

from camdrop.policy import is_local, policy
from ui.words import literal

_MB = 1 << 20
_here: set[object] = set()  # a ticket for each session
_counting = threading.Lock()


def admit() -> None:
    """End the page with a sentence where there is no room for this session, or where it should not be reachable."""
    _, problem = _ticket()
    if problem:
        st.error(literal(problem), icon=":material/group_off:")
        st.stop()


def _leave(ticket: tuple[object, str]) -> None:
    with _counting:
        _here.discard(ticket[0])


@st.cache_resource(scope="session", on_release=_leave, show_spinner=False)
def _ticket() -> tuple[object, str]:
    """What counts this session until it ends, and why it gets nothing to see, if so."""
    rules, ticket = policy(), object()
    address = st.get_option("server.address")
    if not rules.shared and not (address and is_local(address)):
        return (
            ticket,
            "Others could reach this app, and with it the files of its machine: start it by: camdrop app --shared.",
        )
    if any(st.get_option(name) != value for name, value in rules.server_options.items()):
        return ticket, "A shared app needs other options of its server: start it by: camdrop app --shared."
    if problem := memory_problem():
        return ticket, problem
    with _counting:
        if len(_here) >= rules.sessions:
            return (
                ticket,
                f"All {rules.sessions:g} places on this server are taken: load the page again in some minutes.",
            )
        _here.add(ticket)
    return ticket, ""


def memory_problem() -> str:
    """A sentence where the server and its trainings hold all of the memory that they may; else nothing."""
    limit = policy().memory
    if limit == float("inf"):
        return ""
    import psutil

    server = psutil.Process()
    used = 0
    for process in (server, *server.children(recursive=True)):
        try:
            used += process.memory_info().rss
        except psutil.Error:  # it has ended
            continue
    return "The memory of this server is used up: try again in some minutes." if used >= limit * 1024 * _MB else ""


def limits() -> None:
    """What a training gets on a shared server."""
    rules = policy()
    if rules.shared:
        st.caption(
            f"On this server {rules.runs} at a time may train, for {rules.minutes:g} minutes at most; others wait in "
            f"the queue. Results are deleted after {rules.hours:g} hours: take away what you want to keep."
        )


def claim(run: Path) -> None:
    """Make a run that has just been made this session's, where runs have owners."""
    from camdrop.runs.owners import set_owner

    if policy().owned:
        set_owner(run, _tokens()[0])


def is_mine(run: Path) -> bool:
    """Whether this session may change a run."""
    from camdrop.runs.owners import owner

    if not policy().owned:
        return True
    return owner(run, _tokens()) is not None


def sign(run: Path) -> None:
    """Put the token of a run that is this session's into the address, and say what it is for."""
    from camdrop.runs.owners import owner

    if policy().owned and (token := owner(run, _tokens())):
        if st.query_params.get("token") != token:
            st.query_params["token"] = token
        st.caption(
            "This run is yours: with the `token` in this page's address one may stop and delete it. Leave that out "
            "when you pass the address on."
        )


def _tokens() -> list[str]:
    """The token of what this session starts; after it those that its links had, for what earlier ones had started."""
    tokens: list[str] = st.session_state.setdefault("guests.tokens", [secrets.token_urlsafe(12)])
    if (linked := st.query_params.get("token")) and linked not in tokens:
        tokens.append(linked)
    return tokens

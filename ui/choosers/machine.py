"""Where the browser is, seen from the app."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import streamlit as st


def same_machine() -> bool:
    """Whether the browser is on the machine that runs the app: by path, others would learn which files it has."""
    host = urlsplit(st.context.url or "").hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return local and st.context.ip_address is None

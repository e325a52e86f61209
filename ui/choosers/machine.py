"""Whether people may name files of the machine that runs the app."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from camdrop.policy import is_local, policy


def may_name_paths() -> bool:
    """Whether the browser is there and the policy allows it: by path, others would learn which files there are."""
    local = is_local(urlsplit(st.context.url or "").hostname or "") and st.context.ip_address is None
    return policy().paths and local

"""What every component is made of: JavaScript and CSS that lie beside its Python face."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_HERE = Path(__file__).parent


def component(name: str, *parts: str, isolate: bool = True) -> ComponentRenderer:
    """The component of `name`.js and `name`.css. common.js and `parts` go before: the browser gets one module.

    With `isolate` its styles are its own, and it sees none of the page's.
    """
    javascript = "".join((_HERE / f"{part}.js").read_text("utf-8") for part in ("common", *parts, name))
    css = (_HERE / f"{name}.css").read_text("utf-8")
    return st.components.v2.component(f"camdrop.{name}", js=javascript, css=css, isolate_styles=isolate)

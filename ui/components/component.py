"""What every component is made of: JavaScript and CSS that lie beside its Python face, and the messages it shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_HERE = Path(__file__).parent
SHARED = (_HERE / "common.js").read_text("utf-8")  # goes before every module


@dataclass(frozen=True, eq=False)
class Component:
    """A module of JavaScript, its CSS, and how Streamlit mounts it; a call does that, and notes the message."""

    name: str
    javascript: str
    css: str
    isolate: bool
    render: ComponentRenderer

    def __call__(self, *, key: str, data: Any, **options: Any) -> Any:
        """Mount it, or send it a message: as Streamlit's renderer."""
        parts()[key] = Part(self, [data])
        return self.render(key=key, data=data, **options)


@dataclass(frozen=True, eq=False)
class Part:
    """A component in its place with the message that it shows: what a saved page takes along.

    With `by` it has a message for each of `values` of the control of that key.
    """

    component: Component
    messages: Sequence[Any]
    by: str = ""
    values: Sequence[float | str] = ()


def parts() -> dict[str, Part]:
    """What the page shows, by the keys of its components, in their order; a new one for each run of a whole page."""
    return st.session_state.setdefault("parts", {})


def component(
    name: str, *parts: str, isolate: bool = True, constants: Mapping[str, Any] = MappingProxyType({})
) -> Component:
    """The component of `name`.js and `name`.css. common.js and `parts`, with their CSS if they have any, go before: the
    browser gets one module.

    With `isolate` its styles are its own, and it sees none of the page's. `constants` are JSON that it knows by name.
    """
    known = "".join(f"const {key} = {json.dumps(value)};\n" for key, value in constants.items())
    javascript = SHARED + known + "".join((_HERE / f"{part}.js").read_text("utf-8") for part in (*parts, name))
    styles = [path for part in parts if (path := _HERE / f"{part}.css").exists()]
    css = "".join(path.read_text("utf-8") for path in (*styles, _HERE / f"{name}.css"))
    render = st.components.v2.component(f"camdrop.{name}", js=javascript, css=css, isolate_styles=isolate)
    return Component(name, javascript, css, isolate, render)

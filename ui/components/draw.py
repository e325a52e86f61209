"""The button that goes to the next draw, in the browser if that is there already (browser half: draw.js)."""

import streamlit as st

from ui.components.component import component

_draw = component("draw", "shelf")


def draw_button(label: str, *, key: str, value: int, help: str = "") -> None:
    """A button that adds 1 to `st.session_state[key]`, which is `value` now, before the run that it causes."""
    name = f"{key}.next"

    def press() -> None:
        pressed = st.session_state[name].get("pressed")
        if isinstance(pressed, int):
            st.session_state[key] = pressed

    data = {"label": label, "key": key, "value": value, "help": help}
    _draw(key=name, data=data, width="content", height="content", on_pressed_change=press)

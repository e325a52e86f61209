"""One of a few, as radio buttons, which pictures follow in the browser: for saved pages (browser half: radio.js)."""

from collections.abc import Sequence

from ui.components.component import Part, component

_radio = component("radio")


def radio_part(label: str, *, key: str, options: Sequence[str], value: str) -> Part:
    """Radio buttons of the options, the first one the default; they say `camdrop:live` as sliders do."""
    data = {"key": key, "label": label, "options": list(options), "default": options[0], "value": value}
    return Part(_radio, [data])

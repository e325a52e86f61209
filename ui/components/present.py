"""The button that fills the screen with the steps of a board, for a class (browser half: present.js, stage.js)."""

from ui.components.component import component

_present = component("present", "shelf", "sending", isolate=False)


def present_button(steps: int) -> None:
    """A button that shows, one after the other, the panels of the page's board that is to be `presented`.

    All of it is in the browser: arrow keys, Home and End go from step to step, a click on a picture goes on, Escape
    ends it, and the link's parameter `present` is the step. Sliders stay that are in the container `rates`.
    """
    words = "The steps one by one, as large as the screen: arrow keys reveal, Escape ends"
    data = {"key": "present", "label": "Present", "steps": steps, "help": words}
    _present(key="present", data=data, width="content", height="content")

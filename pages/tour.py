"""Tour: eight short lessons, each a live picture, a question to predict the answer of, and a link to a page's state."""

from __future__ import annotations

import streamlit as st

from camdrop.figures.numbers import bound
from ui.choosers.select import segments
from ui.components.pictures import pictures
from ui.components.slider import live_slider
from ui.entry import through_app
from ui.fragments import callback, fragment
from ui.panels.lessons import LESSONS, QUESTION, Lesson, Slider
from ui.saved.button import offer, save_button

through_app()

# Another lesson begins at its title, also for those who use the keyboard or listen: the next Tab is its link.
FOCUS = """
export default ({ parentElement, data }) => {
  const title = parentElement.querySelector("[tabindex]");
  title.setAttribute("aria-label", data.title);
  if (title.dataset.shown && title.dataset.shown !== data.title) title.focus();
  title.dataset.shown = data.title;
};
"""
TITLE = '<div tabindex="-1" role="heading" aria-level="2"></div>'
_title = st.components.v2.component("camdrop.tour", html=TITLE, js=FOCUS)


@callback
def begin() -> None:
    """All controls as at first."""
    for lesson in LESSONS:
        key, control = f"tour_{lesson.control.parameter}", lesson.control
        if isinstance(control, Slider):
            st.session_state[f"live.{key}"] = control.default  # set, as the address may still hold another
        else:
            st.session_state.pop(key, None)


@callback
def go(step: int) -> None:
    """To another lesson."""
    st.session_state["lesson"] += step
    begin()


def steer(lesson: Lesson) -> float | str:
    """The lesson's one control."""
    control = lesson.control
    key = f"tour_{control.parameter}"
    if isinstance(control, Slider):
        return live_slider(
            control.label, key=key, min=control.min, max=control.max, step=control.step, default=control.default
        )
    if control.options == ("true", "false"):
        return str(st.toggle(control.label, True, key=key, bind="query-params")).lower()
    return segments(control.label, control.options, key=key)


def picture(number: int, value: float | str) -> None:
    """The lesson's picture; a sentence where a checkpoint is missing."""
    with st.spinner("Loading PyTorch …"):
        from camdrop.checkpoints import CheckpointError
        from ui.panels import saved_tour, tour

    try:
        if number == 6:
            figure = tour.bounds(value == "true")
            offer(saved_tour.SavedLesson(number, value))
            st.plotly_chart(figure, key="bounds", height=360, config={"displayModeBar": False})
            return
        found = tour.panels(number, value)
    except CheckpointError:
        st.info("The picture needs the checkpoints that ship: run `make checkpoints`.", icon=":material/image:")
        return
    offer(saved_tour.SavedLesson(number, value))
    pictures(
        [tour.simple(panel) for panel in found],
        key=f"tour.{number}",
        columns=3 if len(found) > 4 else 4,
        max_width=320,
    )


@fragment
def show(number: int) -> None:
    lesson = LESSONS[number - 1]
    words, board = st.columns([2, 3], gap="large")
    with words:
        st.subheader(f"{number} · {lesson.title}", anchor=False)
        st.markdown(bound(lesson.text))
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.caption(f"In the paper: {lesson.source}.", width="content")
            link = st.empty()
        st.markdown(f"**Predict.** {bound(lesson.question)}")
        value = steer(lesson)
        with st.expander("Answer", icon=":material/lightbulb:", key=f"answer.{number}"):
            st.markdown(bound(lesson.answer))
        with st.container(horizontal=True):
            on, back = number < len(LESSONS), number > 1
            turns = [
                on and st.button("Next", type="primary", icon=":material/arrow_forward:", on_click=go, args=(1,)),
                back and st.button("Back", icon=":material/arrow_back:", on_click=go, args=(-1,)),
            ]
            if any(turns):
                st.rerun()  # the number is chosen outside of this fragment
    link.link_button(f"Open in {lesson.page_title}", lesson.link(value), icon=":material/open_in_new:")
    with board:
        picture(number, value)


with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    with st.container(width="content"):
        st.title("Tour", width="content")
        st.caption(QUESTION)
    chosen = segments("Lesson", range(1, len(LESSONS) + 1), key="lesson", on_change=begin)
    save_button()
show(chosen)
_title(data={"title": f"Lesson {chosen}: {LESSONS[chosen - 1].title}"}, key="tour.title")

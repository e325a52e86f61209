"""The lessons of the tour as saved pages, with every state of their pictures, and all of them as a site."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from camdrop.figures.numbers import bound
from ui.choosers.checkpoint import open_checkpoint
from ui.choosers.labels import network_label
from ui.components.choice import choice_part
from ui.components.component import Part
from ui.components.pictures import Board, pictures_part
from ui.components.slider import slider_part
from ui.panels import tour
from ui.panels.lessons import LEAK_FREE, LEAKY, LESSONS, QUESTION, Choice, Lesson
from ui.saved.button import Offer
from ui.saved.page import Block, Columns, Details, Links, Note, Page, Text, followed, page_html

if TYPE_CHECKING:
    from camdrop.checkpoints import Checkpoint

_IMAGES = 40  # of lesson 7, which in the app has a thousand


@dataclass(frozen=True)
class SavedLesson:
    """A lesson of this number, to be saved with its control at `value`."""

    number: int
    value: float | str

    def offered(self, shown: Mapping[str, Part], address: str, query: Mapping[str, Any]) -> Offer:
        lesson = LESSONS[self.number - 1]
        page = lesson_page(self.number, address, self.value)
        return Offer(page, f"tour-{self.number}", f"**{lesson.control.label}** works in it. {_left_out(lesson)}")


def site(address: str) -> dict[str, str]:
    """The files of the whole tour, by their names; `address` is the app's, for the links to it."""
    names = {number: f"lesson-{number}.html" for number in range(1, len(LESSONS) + 1)}
    titles = {number: f"{number} · {lesson.title}" for number, lesson in enumerate(LESSONS, 1)}
    index = [
        Text("\n".join(f"{number}. [{lesson.title}]({names[number]})" for number, lesson in enumerate(LESSONS, 1)))
    ]
    files = {"index.html": Page("Tour", QUESTION, index, urljoin(address, "tour"), {})}
    for number, name in names.items():
        turns = {"All lessons": "index.html"}
        if number > 1:
            turns = {f"← {titles[number - 1]}": names[number - 1]} | turns
        if number < len(LESSONS):
            turns |= {f"{titles[number + 1]} →": names[number + 1]}
        files[name] = lesson_page(number, address, turns=turns)
    return {name: page_html(page) for name, page in files.items()}


def lesson_page(
    number: int, address: str, value: float | str | None = None, turns: Mapping[str, str] | None = None
) -> Page:
    """A lesson with its control at `value`, by default where it begins, and links to other ones."""
    lesson = LESSONS[number - 1]
    control, key = lesson.control, f"tour_{lesson.control.parameter}"
    begin = control.options[0] if isinstance(control, Choice) else control.default
    value = begin if value is None or value not in _values(lesson) else value
    networks = {name: open_checkpoint(name) for name in _networks(lesson)}
    words: list[Block] = [
        Text(bound(f"{lesson.text}\n\n*In the paper: {lesson.source}.*\n\n**Predict.** {lesson.question}")),
        _control(lesson, key, value),
        Note(_left_out(lesson).replace("It", "This page")),
        Details("Answer", [Text(bound(lesson.answer))]),
    ]
    picture = _pictures(number, key, tuple(networks.values()))
    return Page(
        f"{number} · {lesson.title}",
        "",
        [Columns([words, [picture]], words=True), *([Links(turns)] if turns else [])],
        urljoin(address, lesson.link(value)),
        {name: network_label(checkpoint.meta) for name, checkpoint in networks.items()},
        {key: (control.parameter, None)},
    )


def _left_out(lesson: Lesson) -> str:
    return f"It has the first {_IMAGES} of the images." if lesson.control.parameter == "image" else ""


def _networks(lesson: Lesson) -> Sequence[str]:
    named = lesson.state.get("checkpoints", lesson.state.get("checkpoint"))
    names = (named,) if isinstance(named, str) else tuple(named or ())
    return (*names, LEAK_FREE) if LEAKY in names else names


def _values(lesson: Lesson) -> Sequence[float | str]:
    control = lesson.control
    if isinstance(control, Choice):
        return control.options
    if control.parameter == "image":
        return range(1, _IMAGES + 1)
    count = round((control.max - control.min) / control.step)
    return [type(control.min)(round(control.min + i * control.step, 9)) for i in range(count + 1)]


def _control(lesson: Lesson, key: str, value: Any) -> Part:
    control, values = lesson.control, _values(lesson)
    if isinstance(control, Choice):
        return choice_part(control.label, control.options, key=key, value=value)
    low, high = (float(values[i]) if isinstance(control.step, float) else int(values[i]) for i in (0, -1))
    return slider_part(control.label, key=key, min=low, max=high, step=control.step, value=value)


@functools.lru_cache(maxsize=8)
def _pictures(number: int, key: str, networks: Sequence[Checkpoint]) -> Part:
    """The pictures of a lesson in every state of its control; the networks are those that they are of."""
    values = _values(LESSONS[number - 1])
    begin = pictures_part([_board(number, values[0])])
    if key in followed(begin):
        return begin
    return pictures_part([_board(number, value) for value in values], by=key, values=values)


def _board(number: int, value: float | str) -> Board:
    panels = [tour.simple(panel) for panel in tour.panels(number, value)]
    return Board(f"tour.{number}", panels, 3 if len(panels) > 4 else 4, max_width=320)

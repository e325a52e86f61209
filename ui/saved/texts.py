"""The texts of the app as HTML that stands by itself: Markdown, with its equations as MathML."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

_MATH = re.compile(r"\$\$(?P<block>[^$]+)\$\$|\$(?P<inline>[^$]+)\$")


def text_html(markdown: str) -> str:
    """Markdown as `st.markdown` takes it, with $…$ and $$…$$; tags in it are text."""
    return _renderer().render(markdown)


@functools.cache
def _renderer() -> MarkdownIt:
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt

    def write(_: object, tokens: list, i: int, *__: object) -> str:
        return convert(tokens[i].content.strip(), display=tokens[i].markup)

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.inline.ruler.before("escape", "math", _math)
    renderer.add_render_rule("math", write)
    return renderer


def _math(state: StateInline, silent: bool) -> bool:
    """An inline rule of markdown-it: an equation."""
    found = _MATH.match(state.src, state.pos)
    if not found:
        return False
    if not silent:
        token = state.push("math", "math", 0)
        token.markup, token.content = ("block", found["block"]) if found["block"] else ("inline", found["inline"])
    state.pos = found.end()
    return True

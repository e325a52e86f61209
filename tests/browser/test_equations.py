"""Equations behind ƒ in a real browser, with the fonts that there are."""

from latex2mathml.converter import convert
from playwright.sync_api import Page

from tests.support import ROOT


def test_limits_and_fractions_do_not_overprint(page: Page) -> None:
    sums = (r"J^{y}=\sum_{c=1}^{16}\alpha^{y}_c X_c", r"s=\frac{CHW}{\sum M}=\frac{12544}{12400}")
    css = (ROOT / "ui" / "components" / "pictures.css").read_text()
    body = "".join(f"<div>{convert(latex, display='block')}</div>" for latex in sums)
    page.set_content(f"<style>{css} .equation {{ position: static; }}</style><div class=equation>{body}</div>")
    boxes = """at => [...document.querySelectorAll(at)].flatMap((node) => {
        const inner = (part) => { const range = document.createRange(); range.selectNodeContents(part);
                                  return range.getBoundingClientRect(); };
        const [top, bottom] = [...node.children].map(inner).sort((a, b) => a.top - b.top).slice(-2);
        return [bottom.top - top.bottom];
    })"""
    assert page.evaluate(boxes, "mfrac") and min(page.evaluate(boxes, "mfrac")) >= 0
    assert page.evaluate(boxes, "munderover") and min(page.evaluate(boxes, "munderover")) >= 0

"""Names and errors from outside are shown as they are on every page and in reports, never as markup."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from camdrop import report
from camdrop.checkpoints import Meta, save
from camdrop.data.text import markdown_code, markdown_text, plain_text, plotly_text
from camdrop.report.curves import curves_of
from camdrop.report.finished import find
from camdrop.runs import sweep
from camdrop.runs.sweep import Cell, Plan
from tests.support.checkpoint_files import fashion
from tests.support.finished_runs import finish
from tests.support.lab_pages import Pages

NAME = "v$1$ *best* [x](evil.example) :red[a] <b>"
ACTIVE = re.compile(r"\$1\$|\*best\*|\[x\]\(|:red\[|<b>|`rm`|__all__|:smile:|://evil|\|cell\|")
SHOWN = {"label", "body", "text", "help", "content", "caption", "message"}
PLAIN = {"text", "code", "component_instance", "bidi_component", "arrow_data_frame", "json"}


def markup(app: AppTest) -> Iterator[str]:
    """All texts of a page in which Streamlit reads Markdown."""
    for element in app.main:
        proto = getattr(element, "proto", None)
        if element.type == "html":
            assert "<b>" not in proto.body and 'href="evil' not in proto.body
            continue
        if proto is None or element.type in PLAIN:
            continue
        for message in [proto, *getattr(proto, "options", ())]:
            yield from (str(v) for f, v in getattr(message, "ListFields", list)() if f.name in SHOWN)
    for table in app.table:
        yield from (str(cell) for cell in [*table.value.columns, *table.value.to_numpy().ravel()])


def active(text: str) -> list[str]:
    """What of the name Markdown would act on: all but what is escaped."""
    code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", " ", re.sub(r"\\`", " ", text)) if "python -m" in text else text
    return ACTIVE.findall(re.sub(r"\\[!-/:-@\[-`{-~]", " ", code))


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        "a `rm` b",
        "__all__",
        ":smile: :material/delete:",
        "https://evil.example",
        "x |cell| y",
        "# a",
        "1. a",
        "+ a",
    ],
)
def test_markdown_shows_a_text_as_it_is(text):
    from markdown_it import MarkdownIt

    assert active(markdown_text(text)) == []
    escaped = markdown_text(text).replace("\u2060", "")
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(escaped)
    assert rendered == f"<p>{text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</p>\n"
    for usual in ("CamDrop γ 0.9 r 7", "image_size must be at least 1, got 0", "There is no /a/b.c: check the path."):
        assert markdown_text(usual) == usual


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    monkeypatch.setenv("CAMDROP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("camdrop.shipped.shipped", lambda name: tmp_path / "results" if name == "results" else None)
    monkeypatch.setattr("ui.panels.sweeps._speed", lambda *_: 0.001)
    monkeypatch.setattr("ui.panels.race_setup.seconds_per_image", lambda *_: 0.001)
    first = fashion(0)
    meta = replace(first.meta, classes=tuple(f"{NAME} {k}" for k in range(10)), dataset=NAME, method="")
    save(tmp_path / f"{NAME}.safetensors", first.model, meta)
    save(tmp_path / f"{NAME} 5.safetensors", fashion(0).model, Meta("resnet8", 10, 1, method=NAME))
    (tmp_path / f"{NAME} broken.pth").write_bytes(b"nothing")
    for seed in (0, 1):
        finish(tmp_path / "runs" / f"{NAME} {seed}", "baseline,dropblock,camdrop", [9.0, 8.0, 7.0], seed=seed)
    for number, state in enumerate(("failed", "stopped", "running")):
        finish(tmp_path / "runs" / f"{NAME} {state}", "baseline,camdrop", [9.0, 7.0], seed=5 + number)
        status = {"state": state, "message": f"no {NAME} here", "step": 1, "total": 9}
        (tmp_path / "runs" / f"{NAME} {state}" / "status.json").write_text(json.dumps(status))
    config = tmp_path / "runs" / f"{NAME} 0" / "config.json"
    for place in (tmp_path / "runs").glob("*/config.json"):
        place.write_text(place.read_text().replace('"cifar10"', json.dumps(f"folder:/tmp/{NAME}")))
    (tmp_path / "runs" / f"{NAME} broken").mkdir()
    (tmp_path / "runs" / f"{NAME} broken" / "config.json").write_text("{")
    assert config.exists()
    grid = tmp_path / "runs" / f"{NAME} sweep"
    sweep.create(grid, Plan(f"folder:{NAME}", learning_rates=(0.1, 1.0), keep_probs=(0.9, 1.0)))
    for rate, keep, state in ((0.1, 1.0, "done"), (0.1, 0.9, "failed")):
        sweep.append(grid, Cell(rate, keep, state, 5.0, 6.0, message=f"E {NAME}"))
    sweep.set_state(grid, "failed", f"no {NAME}")
    for kind, results in (("attack", [{"clean_error": 1.0, "n": 5}]), ("compare", [])):
        file = tmp_path / "runs" / f"{kind} {NAME}.json"
        file.write_text(json.dumps({"data": NAME, "results": results, "checkpoint": NAME, "method": NAME}))
    return Pages(tmp_path, monkeypatch)


LINKS = {
    "explore": {"checkpoints": NAME, "class": f"{NAME} 3", "image_from": "Fashion-MNIST"},
    "mask_lab": {"checkpoint": NAME, "label": f"{NAME} 3"},
    "five_methods": {"checkpoint": f"{NAME} gone"},
    "attack": {"checkpoints": NAME},
    "gradients": {"checkpoint": NAME},
    "race": {"run": f"{NAME} 0"},
    "runs": {"runs": f"{NAME} gone"},
    "results": {},
    "sweep": {"sweep": f"{NAME} sweep"},
}


@pytest.mark.slow
@pytest.mark.parametrize("page", LINKS)
def test_no_page_renders_a_name(pages, page):
    links = [LINKS[page]]
    links += [{"run": f"{NAME} {state}"} for state in ("failed", "stopped", "gone")] if page == "race" else []
    links += [{"sweep": f"{NAME} gone"}, {}] if page == "sweep" else []
    seen = 0
    for link in links:
        app = pages.open(page, **link)
        for text in markup(app):
            assert active(text) == [], text
            seen += "best" in text
        seen += any("&lt;b&gt;" in part.proto.body for part in app.get("html"))
    assert seen or page in ("five_methods", "gradients"), "the name is nowhere"


def test_reports_and_curves_render_no_name(pages, tmp_path):
    folders = [tmp_path / "runs"]
    text = report.markdown_report(folders)
    assert "best" in text
    assert [line for line in text.splitlines() if active(line)] == []
    page = report.html_report(folders, tmp_path)
    assert "<b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL) and "evil.example" in page
    assert 'href="evil' not in page
    for run, records in find(folders):
        for curve in curves_of(run, records, f"{run.name} · "):
            assert "<b>" not in curve.name and plotly_text("<b>") == "&lt;b&gt;"
    assert plain_text(NAME) == NAME
    assert markdown_code("a") == "`a`" and markdown_code("a ``b`` `c`") == "``` a ``b`` `c` ```"

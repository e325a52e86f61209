"""From an input event to the painted picture, in real Chromium, against an empty fragment rerun R in the same run.

    python -m bench.app [--rounds 30] [--large] [--only Explore]

γ, opacity and the like are thresholds and blends that the browser makes itself; r, channels, draws, and in Explore
image, stage and class, and networks of one build, come from tables that were sent ahead; a network of another build
goes to the server and back. `--large` measures a ResNet-50 (random weights) at 224 pixels in place of the small
networks. One page is open at a time, and every round measures R and then its interaction, so that both meet the same
load. Times are the browser's own: from the event's timestamp to `camdrop:painted`, which comes after the frame with
the new picture.
"""

import argparse
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from playwright.sync_api import BrowserContext, Page, TimeoutError, expect, sync_playwright

from bench.report import environment, median, table
from camdrop.resnet import build
from tests.support.browser import launch, serve

LISTEN = """
window.bench = { event: 0, painted: [], ahead: 0 };
for (const type of ["keydown", "pointerdown", "input", "click"])
  window.addEventListener(type, (event) => { bench.event = event.timeStamp; }, true);
window.addEventListener("camdrop:painted", ({ detail }) => bench.painted.push(detail));
window.addEventListener("camdrop:ahead", () => { bench.ahead = performance.now(); });
"""
PAINTED = "key => bench.painted.find((paint) => paint.key === key && paint.time > bench.event)?.time - bench.event"
WATCH_TEXT = """
new MutationObserver(() => requestAnimationFrame(() => setTimeout(() =>
  bench.painted.push({ key: "text", time: performance.now() }),
))).observe(document.querySelector("[data-testid=stText]"), { subtree: true, characterData: true, childList: true });
"""


@dataclass(frozen=True)
class Interaction:
    """What a person does (`act(page, round)`), the key of the `pictures` that answer, and the budget at the median."""

    name: str
    path: str
    act: Callable[[Page, int], None]
    painted: str
    budget: float
    prepare: Callable[[Page], None] = lambda page: None


def nudge(label: str) -> Callable[[Page, int], None]:
    """A tenth of a slider by the page key, and from a third back to its start: each time far enough that a mask
    changes, and to a picture that neither the server nor the browser still has."""

    def act(page: Page, turn: int) -> None:
        slider = page.get_by_role("slider", name=label, exact=True)
        far = float(slider.input_value()) > 0.35 * float(slider.get_attribute("max") or 1)
        slider.press("Home" if far else "PageUp")

    return act


def pick(page: Page, turn: int) -> None:
    """Another channel of the grid, by the keyboard."""
    page.get_by_role("listbox", name=re.compile("^All .* channels")).press("ArrowRight")
    page.keyboard.press("Enter")


def again(page: Page, turn: int) -> None:
    page.get_by_role("button", name="Draw again").click()


def filled(page: Page) -> None:
    """Wait until no message ahead has come for three seconds."""
    while page.evaluate("bench.ahead === 0 || performance.now() - bench.ahead < 3000"):
        page.wait_for_timeout(500)


def rest(page: Page) -> None:
    """As a person who looks: until nothing more has come ahead for half a second, or for five seconds."""
    for _ in range(10):
        page.wait_for_timeout(500)
        if page.evaluate("performance.now() - bench.ahead > 500"):
            return


def step(page: Page, turn: int) -> None:
    page.get_by_role("slider", name="Image", exact=True).press("ArrowRight")


def stage(page: Page, turn: int) -> None:
    page.get_by_role("radio", name=str(1 + turn % 3), exact=True).click()


def of_class(page: Page, turn: int) -> None:
    page.get_by_role("combobox", name="Heatmap of").select_option(("Coat", "Bag")[turn % 2])


def choose(page: Page, turn: int) -> None:
    """Another image of the gallery, by the keyboard."""
    page.get_by_role("listbox", name=re.compile("^The gallery")).press("ArrowRight")
    page.keyboard.press("Enter")


def compare(page: Page, turn: int) -> None:
    """One network more, or one less."""
    name = "fashion-resnet8-dropblock"
    remove = page.get_by_role("button", name=f"Remove {name}")
    if remove.count():
        remove.click()
    else:
        page.get_by_role("combobox", name="Checkpoints").select_option(name)


def of_list(label: str, *names: str) -> Callable[[Page, int], None]:
    """Another of two options of a list that the browser follows."""

    def act(page: Page, turn: int) -> None:
        page.get_by_role("combobox", name=label, exact=True).select_option(names[turn % 2])

    return act


TWO = "/?checkpoints=fashion-resnet8-camdrop&checkpoints=fashion-resnet8-baseline&image=1"
INTERACTIONS = (
    Interaction("Explore: opacity, blended by the browser", "/", nudge("Opacity"), "board", 1),
    Interaction("Mask lab: γ, the strip", "/mask_lab", nudge("Keep rate γ"), "strip", 2),
    Interaction("Mask lab: γ, the channel grid", "/mask_lab?method=DropBlock", nudge("Keep rate γ"), "grid", 2.5),
    Interaction("Five methods: γ, the blocks", "/five_methods", nudge("Keep rate γ"), "blocks", 1.5),
    Interaction("Explore: image", TWO, step, "board", 0.6, filled),
    Interaction("Explore: stage", TWO, stage, "board", 0.6, filled),
    Interaction("Explore: class", TWO, of_class, "board", 0.6, filled),
    Interaction("Explore: gallery", TWO, choose, "board", 0.6, filled),
    Interaction("Explore: checkpoint", TWO, compare, "board", 4, filled),
    Interaction("Mask lab: r, the strip", "/mask_lab", nudge("Block size r"), "strip", 0.6, filled),
    Interaction("Five methods: r, the blocks", "/five_methods", nudge("Block size r"), "blocks", 0.6, filled),
    Interaction("Mask lab: channel, the strip", "/mask_lab", pick, "strip", 0.6, filled),
    Interaction("Mask lab: next draw, the grid", "/mask_lab?method=DropBlock", again, "grid", 0.6, filled),
    Interaction("Mask lab: label, the strip", "/mask_lab", of_list("Label y", "Sneaker", "Coat"), "strip", 0.6, filled),
    Interaction(
        "Mask lab: site", "/mask_lab", of_list("Drop site", "layer2.0.conv2", "layer3.0.conv2"), "strip", 0.6, filled
    ),
    Interaction("Mask lab: method", "/mask_lab", of_list("Method", "CamDrop", "DropBlock"), "strip", 0.6, filled),
    Interaction(
        "Mask lab: checkpoint",
        "/mask_lab",
        of_list("Checkpoint", "fashion-noise-resnet8-dropblock", "fashion-noise-resnet8-camdrop-leaky"),
        "strip",
        4,
        filled,
    ),
    Interaction(
        "Mask lab: checkpoint of another data set",
        "/mask_lab",
        of_list("Checkpoint", "cifar10-resnet20-camdrop", "fashion-resnet8-camdrop"),
        "strip",
        4,
    ),
    Interaction(
        "Five methods: checkpoint",
        "/five_methods",
        of_list("Checkpoint", "fashion-noise-resnet8-dropblock", "fashion-noise-resnet8-camdrop-leaky"),
        "blocks",
        4,
        filled,
    ),
)

LAST = "?checkpoint=resnet50&site=layer4.2.conv3"
LARGE = (
    Interaction("Mask lab at 224: γ, the strip", f"/mask_lab{LAST}", nudge("Keep rate γ"), "strip", 4),
    Interaction("Mask lab at 224: r, the strip", f"/mask_lab{LAST}", nudge("Block size r"), "strip", 4),
    Interaction("Five methods at 224: r, the blocks", f"/five_methods{LAST}", nudge("Block size r"), "blocks", 4),
    Interaction("Explore at 224: image", "/?checkpoints=resnet50&image=1", step, "board", 1, filled),
)


@contextlib.contextmanager
def large_network() -> Iterator[None]:
    """The app has a ResNet-50 alone."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        torch.save(build("resnet50", 1000).state_dict(), Path(folder) / "resnet50.pth")
        os.environ["CAMDROP_CHECKPOINTS"] = folder
        yield


def open_page(context: BrowserContext, url: str, ready: str) -> Page:
    page = context.new_page()
    page.add_init_script(LISTEN)
    page.goto(url)
    page.wait_for_function(ready)
    page.wait_for_timeout(1500)
    return page


def measure(page: Page, act: Callable[[Page, int], None], turn: int, painted: str) -> float:
    """Milliseconds from the event to the picture."""
    page.evaluate("bench.painted = []")
    act(page, turn)
    try:
        milliseconds = page.wait_for_function(PAINTED, arg=painted).json_value()
    except TimeoutError:
        raise SystemExit(
            f"{page.url}: nothing was painted in {painted!r}. Does the action change the picture?"
        ) from None
    page.wait_for_timeout(100)
    return milliseconds


def start_up(context: BrowserContext) -> tuple[float, float]:
    """Seconds from the start of the server's process to the title, and to the first picture."""
    started = time.monotonic()
    with serve("app.py") as url:
        page = context.new_page()
        page.add_init_script(LISTEN)
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
        title = time.monotonic() - started
        page.wait_for_function("bench.painted.length > 0")
        picture = time.monotonic() - started
        page.close()
    return title, picture


def report(name: str, times: list[float], unit: list[float], budget: float | None = None) -> dict[str, object]:
    ratios = [a / b for a, b in zip(times, unit, strict=True)]
    tail = sorted(times)[int(0.95 * len(times))]
    return {
        "interaction": name,
        "median ms": f"{median(times):.0f}",
        "p95 ms": f"{tail:.0f}",
        "median / R": f"{median(times) / median(unit):.2f}",
        "paired / R": f"{median(ratios):.2f}",
        "p95 / R": f"{tail / median(unit):.2f}",
        "budget": budget or "",
        "n": len(times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="", help="interactions whose names begin so")
    arguments = parser.parse_args()
    with large_network() if arguments.large else contextlib.nullcontext():
        chosen = LARGE if arguments.large else INTERACTIONS
        run(tuple(item for item in chosen if item.name.startswith(arguments.only)), arguments.rounds)


def run(interactions: tuple[Interaction, ...], rounds: int) -> None:
    print(environment("streamlit", "playwright"), "\n")
    with sync_playwright() as playwright, serve("app.py") as app, serve("bench/rerun.py") as rerun:
        chromium = launch(playwright)
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        print("Chromium", chromium.version, "\n")
        empty = open_page(context, rerun, "document.querySelector('[data-testid=stText]')")
        empty.evaluate(WATCH_TEXT)
        every: list[float] = []
        rows = []
        for item in interactions:  # a page at a time: each fills its tables, and would be in the way of the others
            page = open_page(context, app + item.path, "bench.painted.length > 0")
            item.prepare(page)
            unit: list[float] = []
            times: list[float] = []
            for turn in range(-3, rounds):
                empty.bring_to_front()
                r = measure(empty, nudge("Value"), turn, "text")
                page.bring_to_front()
                value = measure(page, item.act, turn, item.painted)
                rest(page)
                if turn >= 0:
                    unit.append(r)
                    times.append(value)
            page.close()
            every += unit
            rows.append(report(item.name, times, unit, item.budget))
        print(table([report("R: empty fragment rerun", every, every), *rows]), "\n")
        if interactions == INTERACTIONS:
            starts = [start_up(context) for _ in range(3)]
            print(f"Warm start: title {median([t for t, _ in starts]):.1f} s,", end=" ")
            print(f"first picture {median([p for _, p in starts]):.1f} s (n = 3)")
        chromium.close()


if __name__ == "__main__":
    main()

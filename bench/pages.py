"""From the click on a page's name to the page, in real Chromium, in seconds: python -m bench.pages [--rounds 7]

Each round visits all of them, one after the other, in one session of one server. The first round is told apart from
the others, as it fills what the server keeps. A page is there when the condition holds that stands beside it below,
seen by the browser's own clock.
"""

import argparse
import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, sync_playwright

from bench.app import open_page
from bench.report import environment, median, table
from tests.support.browser import launch, serve

RESTS = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
PAINTED = "bench.painted.some((paint) => paint.time > bench.event)"


@dataclass(frozen=True)
class Visit:
    """A click on `link`, in JavaScript what is there to see then, and how many seconds it may take."""

    name: str
    link: str
    there: str
    budget: float

    def target(self, page: Page) -> Locator:
        role = "radio" if self.link.isdigit() else "link"
        return page.get_by_role(role, name=re.compile(f"{self.link}$")).first


def titled(title: str, *also: str) -> str:
    return " && ".join([f"document.querySelector('h1')?.textContent.startsWith('{title}')", *also])


VISITS = (
    Visit("Five methods, its picture", "Five methods", titled("Five methods", PAINTED), 0.5),
    Visit("Mask lab, its first picture", "Mask lab", titled("Mask lab", PAINTED), 0.5),
    Visit("Explore, its pictures", "Explore", titled("Where", PAINTED), 0.5),
    Visit("Results, the first table", "Results", titled("Results", "document.querySelector('.report table')"), 1.5),
    Visit("Sweep, its heatmap", "Sweep", titled("Sweep", "document.querySelector('.plot-container .hm')"), 2),
    Visit("Results, whole", "Results", titled("Results", "document.querySelector('#published-code')", RESTS), 3),
    Visit("Tour, its picture", "Tour", titled("Tour", PAINTED), 0.5),
    Visit("Tour, lesson 6", "6", titled("Tour", "document.querySelector('.plot-container .scatterlayer')", RESTS), 1),
    Visit("Tour, lesson 1", "1", titled("Tour", PAINTED, RESTS), 1),
)


def arrive(page: Page, visit: Visit) -> float:
    """Seconds from the click until the page is there."""
    page.evaluate("bench.painted = []")
    visit.target(page).click()
    return page.wait_for_function(f"{visit.there} ? performance.now() - bench.event : 0").json_value() / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(environment("streamlit", "playwright"), "\n")
    with sync_playwright() as playwright, serve("app.py") as app:
        context = launch(playwright).new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        page = open_page(context, f"{app}/mask_lab", "bench.painted.length > 0")
        times: dict[str, list[float]] = {visit.name: [] for visit in VISITS}
        for _ in range(1 + rounds):
            for visit in VISITS:
                times[visit.name].append(arrive(page, visit))
                page.wait_for_timeout(1000)
    rows = [
        {
            "page": visit.name,
            "first s": f"{times[visit.name][0]:.2f}",
            "median s": f"{median(times[visit.name][1:]):.2f}",
            "slowest s": f"{max(times[visit.name][1:]):.2f}",
            "budget s": visit.budget,
            "n": rounds,
        }
        for visit in VISITS
    ]
    print(table(rows))


if __name__ == "__main__":
    main()

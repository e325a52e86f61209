"""Measure what lesson 6 of the tour draws, and write it to results/tour, for the page to open at once."""

import json
from pathlib import Path

from ui.panels.tour import measure_bounds


def main() -> None:
    out = Path("results/tour/bounds.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(measure_bounds()) + "\n")


if __name__ == "__main__":
    main()

"""The tour as a site for a course page, without a server: `python -m scripts.save_tour [FOLDER] [--app ADDRESS]`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from camdrop.checkpoints import CheckpointError
from camdrop.data.files import write_atomic


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the tour as a site of an index and eight lessons.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tour-page"), help="default: %(default)s")
    app = "http://localhost:8501/"
    parser.add_argument(
        "--app", default=app, metavar="ADDRESS", help="of the app, for links to it; default: %(default)s"
    )
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # Streamlit's, that nobody is there to see its widgets
    from ui.panels.saved_tour import site

    try:
        files = site(options.app.rstrip("/") + "/")
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomic(options.folder / name, text.encode())
    except (CheckpointError, OSError) as error:
        parser.error(str(error))
    print(f"Open {options.folder / 'index.html'}")


if __name__ == "__main__":
    main()

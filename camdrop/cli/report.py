"""`python -m camdrop report`: the paper's tables beside ours, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="FILE.md, FILE.html or FILE.json")],
    folders: Annotated[
        list[Path] | None, typer.Option("--runs", help="folder of runs; by default results and runs; may be repeated")
    ] = None,
) -> None:
    """The paper's tables and, in the same places, what finished runs of ours reached."""
    from camdrop.data.files import write_atomic
    from camdrop.report import find, html_report, json_report, markdown_report
    from camdrop.shipped import shipped

    where = folders or [shipped("results"), Path("runs")]
    if missing := [str(folder) for folder in folders or () if not folder.is_dir()]:
        raise ValueError(f"there is no folder {', '.join(missing)}; name one that holds runs")
    kinds = {".md": markdown_report, ".html": html_report, ".json": json_report}
    if out.suffix.lower() not in kinds:
        raise ValueError(f"--out must end in .md or .html, or in .json, got {out.name}")
    write_atomic(out, kinds[out.suffix.lower()](where))
    typer.echo(f"{out}: tables 1–7, figures 2–4, from {len(find(where))} finished runs")

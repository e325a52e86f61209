"""The report: the paper's tables and figures beside ours, as Markdown and as one HTML page."""

from camdrop.report.html import html_report, sheet
from camdrop.report.markdown import (
    PROTOCOL,
    SWEEP_COMMAND,
    TITLE,
    WHY,
    Section,
    bound_runs,
    find,
    find_sweeps,
    markdown_report,
    overview,
    race_runs,
    sections,
    sweeps,
    table,
    tensions,
)

__all__ = [
    "PROTOCOL",
    "SWEEP_COMMAND",
    "TITLE",
    "WHY",
    "Section",
    "bound_runs",
    "find",
    "find_sweeps",
    "html_report",
    "markdown_report",
    "overview",
    "race_runs",
    "sections",
    "sheet",
    "sweeps",
    "table",
    "tensions",
]

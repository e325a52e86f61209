"""The report: the paper's tables and figures beside ours, as Markdown and as one HTML page."""

from camdrop.report.finished import find
from camdrop.report.html import fragment, html_report, sheet
from camdrop.report.json_report import json_report
from camdrop.report.markdown import (
    PROTOCOL,
    SWEEP_COMMAND,
    TITLE,
    WHY,
    Section,
    find_sweeps,
    markdown_report,
    overview,
    sections,
    sweeps,
)
from camdrop.report.race_sections import bound_runs, race_runs, tensions
from camdrop.report.table_sections import table

__all__ = [
    "PROTOCOL",
    "SWEEP_COMMAND",
    "TITLE",
    "WHY",
    "Section",
    "bound_runs",
    "find",
    "find_sweeps",
    "fragment",
    "html_report",
    "json_report",
    "markdown_report",
    "overview",
    "race_runs",
    "sections",
    "sheet",
    "sweeps",
    "table",
    "tensions",
]

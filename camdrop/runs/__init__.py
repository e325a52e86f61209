"""Runs: what a training writes into its folder, the process that trains, the scheduler of waiting runs, sweeps."""

from camdrop.runs.folder import (
    LAUNCHED,
    Run,
    RunConfig,
    RunError,
    asked_knobs,
    create,
    delete,
    in_use,
    list_runs,
    load_run,
    locked,
    read_metrics,
    record_guess,
    rename,
    stop,
    survey,
    turn_knobs,
)
from camdrop.runs.history import read_heatmap_history

__all__ = [
    "LAUNCHED",
    "Run",
    "RunConfig",
    "RunError",
    "asked_knobs",
    "create",
    "delete",
    "in_use",
    "list_runs",
    "load_run",
    "locked",
    "read_heatmap_history",
    "read_metrics",
    "record_guess",
    "rename",
    "stop",
    "survey",
    "turn_knobs",
]

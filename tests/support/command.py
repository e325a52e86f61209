"""The command, in this process and in processes of its own."""

import os
import subprocess
import sys

import pytest

from camdrop import cli, runs


def run(monkeypatch, *args):
    """Exit status of `python -m camdrop ARGS`."""
    monkeypatch.setattr(sys, "argv", ["camdrop", *map(str, args)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def train(run, processes, *options):
    """Train into the folder `run` by so many processes, and return the records of its metrics."""
    launcher = (
        ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)) if processes > 1 else ()
    )
    command = [sys.executable, *launcher, "-m", "camdrop", "train", "--run-dir", str(run), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return runs.read_metrics(run)[0]

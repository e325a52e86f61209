"""The command line: `python -m camdrop …`, `camdrop …`."""

from camdrop.cli.commands import app, main

__all__ = ["app", "main"]

"""`camdrop app`: the app in the browser."""

from __future__ import annotations

import os
import runpy
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("app")
def start(
    port: Annotated[int, typer.Option(help="of the address, http://localhost:PORT", min=1, max=65535)] = 8501,
    data: Annotated[Path | None, typer.Option(help="where data sets are downloaded to")] = None,
    checkpoints: Annotated[Path | None, typer.Option(help="the checkpoints to choose from, and where to keep")] = None,
    runs: Annotated[Path | None, typer.Option(help="where races and sweeps are written to")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="open no browser")] = False,
) -> None:
    """Start the app and open it in the browser; Ctrl-C ends it."""
    from camdrop.shipped import own, shipped

    if find_spec("streamlit") is None:
        raise ValueError("the app needs Streamlit and others: pip install 'camdrop[app]'")
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("localhost", port))
        except OSError as error:
            raise ValueError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None
    for name, folder in (("data", data), ("checkpoints", checkpoints), ("runs", runs)):
        if folder is not None:
            os.environ[f"CAMDROP_{name.upper()}"] = str(folder.absolute())
        typer.echo(f"{name}: {own(name)}")
    os.environ["CAMDROP_DATA"] = str(own("data"))  # else downloads would go where the command was called
    options = {"server.port": port, "server.headless": str(headless).lower()}
    sys.argv = ["streamlit", "run", str(shipped("app.py")), *(f"--{name}={value}" for name, value in options.items())]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)

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
    address: Annotated[
        str | None, typer.Option(help="where it listens: localhost, or with --shared 0.0.0.0, all networks")
    ] = None,
    shared: Annotated[bool, typer.Option("--shared", help="for a class: others may use it, within limits")] = False,
    data: Annotated[Path | None, typer.Option(help="where data sets are downloaded to")] = None,
    checkpoints: Annotated[Path | None, typer.Option(help="the checkpoints to choose from, and where to keep")] = None,
    runs: Annotated[Path | None, typer.Option(help="where races and sweeps are written to")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="open no browser")] = False,
) -> None:
    """Start the app and open it in the browser; Ctrl-C ends it.

    With --shared, or CAMDROP_SHARED=1, it is for a class on one server: people name no files of that machine, and
    change only their own runs. The limits are CAMDROP_MAX_RUNS, CAMDROP_MAX_MINUTES, CAMDROP_KEEP_HOURS,
    CAMDROP_MAX_SESSIONS and CAMDROP_MAX_MEMORY (GB).
    """
    from camdrop.policy import is_local, policy
    from camdrop.shipped import own, shipped

    if find_spec("streamlit") is None:
        raise ValueError("the app needs Streamlit and others: pip install 'camdrop[app]'")
    if shared:
        os.environ["CAMDROP_SHARED"] = "1"
    rules = policy()
    address = address or ("0.0.0.0" if rules.shared else "localhost")
    if not rules.shared and not is_local(address):
        raise ValueError(
            f"at {address} others could name files of this machine and delete runs: add --shared, which forbids both"
        )
    _try(address, port)
    for name, folder in (("data", data), ("checkpoints", checkpoints), ("runs", runs)):
        if folder is not None:
            os.environ[f"CAMDROP_{name.upper()}"] = str(folder.absolute())
        typer.echo(f"{name}: {own(name)}")
    if rules.shared:
        typer.echo(f"shared: {rules}")
    os.environ["CAMDROP_DATA"] = str(own("data"))  # else downloads would go where the command was called
    options = {"server.address": address, "server.port": port, "server.headless": headless} | rules.server_options
    arguments = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    sys.argv = ["streamlit", "run", str(shipped("app.py")), *arguments]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)


def _try(address: str, port: int) -> None:
    """ValueError where nothing can listen there."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as free:
        if sys.platform != "win32":  # where it would take a port that another program has
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((address, port))
        except socket.gaierror:
            raise ValueError(f"there is no address {address!r} here; choose another with --address") from None
        except OSError as error:
            raise ValueError(
                f"port {port} cannot be used at {address} ({error.strerror}); choose another with --port"
            ) from None

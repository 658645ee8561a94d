"""`safestream broker`: a local Apache Kafka for development, without Docker."""

import sys
from typing import Annotated

import typer

from stream.local_broker import background
from stream.local_broker.readiness import answers

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@app.command()
def start(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = background.DEFAULT_PORT,
) -> None:
    """Start it and leave it running; what it held last time is still there. The first time fetches Kafka by Maven."""
    running = background.start(port, _say)
    print(f"Kafka runs at {running.bootstrap} (process {running.pid}, log {background.folder() / 'broker.log'})")


@app.command()
def stop(
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Also delete all topics and offsets.")] = False,
) -> None:
    """Stop it."""
    running = background.stop(delete_data=delete_data)
    print(f"stopped the broker at {running.bootstrap}" if running else "no broker of ours was running")


@app.command()
def status() -> None:
    """Whether it runs, and where. Exit code 1 when it does not."""
    running = background.find()
    if running is None:
        print("no broker of ours runs here: safestream broker start")
        raise typer.Exit(1)
    if not answers(running.bootstrap):
        print(f"a process is there ({running.pid}), but no Kafka answers at {running.bootstrap}: see its log")
        raise typer.Exit(1)
    print(f"Kafka runs at {running.bootstrap} (process {running.pid}, log {background.folder() / 'broker.log'})")

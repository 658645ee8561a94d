"""`safestream worker`: turn events into decisions until told to stop."""

import signal
from threading import Event
from typing import Annotated

import typer

from safestream import assembly, logs
from safestream.configuration import load
from safestream.options import ConfigFile

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    slot: Annotated[
        str | None, typer.Option(help="Name of this worker in its group, the same after a restart: worker.slot.")
    ] = None,
    second_look: Annotated[
        bool, typer.Option("--second-look", help="Look again at what was decided provisionally, with slow detectors.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Turn events into decisions until told to stop (SIGTERM or Ctrl-C: commits what is under way, then leaves)."""
    settings = load(config)
    if slot is not None:
        settings = settings.model_copy(update={"worker": settings.worker.model_copy(update={"slot": slot})})
    logs.configure(settings.log.format, settings.log.level)
    begun, stop = Event(), Event()

    def told(*_: object) -> None:
        if not begun.is_set():
            raise SystemExit(0)  # nothing is under way yet
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    assembly.run_worker(settings, begun, stop, second_look=second_look)

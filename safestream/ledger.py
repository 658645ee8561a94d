"""`safestream ledger`: keep the state of accounts until told to stop."""

from typing import Annotated

import typer

from safestream import logs
from safestream.configuration import load
from safestream.options import ConfigFile

app = typer.Typer(add_completion=False)


@app.command()
def ledger(
    slot: Annotated[
        str | None, typer.Option(help="Name of this process in its group, the same after a restart: ledger.slot.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Keep the state of accounts until told to stop (SIGTERM or Ctrl-C).

    Exit code 70 when something went wrong that a restart puts right: let a supervisor start it again, after a moment.
    """
    settings = load(config)
    if slot is not None:
        settings = settings.model_copy(update={"ledger": settings.ledger.model_copy(update={"slot": slot})})
    logs.configure(settings.log.format, settings.log.level)
    from safestream import ledger_assembly  # noqa: PLC0415  # Faust comes with it, for this command alone

    ledger_assembly.run(settings)

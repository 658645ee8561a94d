"""`safestream doctor`: what is missing on this machine, and the command that brings it."""

import typer

from safestream.doctor_checks import Check, run_checks

app = typer.Typer(add_completion=False)

_COLOURS = {"ok": "green", "missing": "red", "not here": "yellow"}


@app.command()
def doctor() -> None:
    """What is missing here, and how to get it. Exit code 1 when the demo can't run."""
    checks = run_checks()
    for check in checks:
        typer.echo(_line(check))  # drops the colours where there is no terminal
    missing = [check.name for check in checks if check.needed and not check.ok]
    if missing:
        print(f"\nThe demo can't run yet; missing: {', '.join(missing)}.")
        raise typer.Exit(1)
    print("\nEverything the demo needs is here: make demo")


def _line(check: Check) -> str:
    state = "ok" if check.ok else "missing" if check.needed else "not here"
    remedy = "" if check.ok else f"\n{'':10}{'':18}→ {check.remedy}"
    return f"{typer.style(f'{state:10}', fg=_COLOURS[state])}{check.name:18}{check.found}{remedy}"

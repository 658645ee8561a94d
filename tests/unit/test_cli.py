"""How a command ends: its exit code, and one line on standard error."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from safestream import cli

Run = Callable[[str], int]

MODULE = """
import typer
from schemas.errors import *

app = typer.Typer()

@app.command()
def command() -> None:
    raise {raised}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command, from a module of its own, that raises what it is given."""

    def run_raising(raised: str) -> int:
        name = f"raising_{abs(hash(raised))}"
        (tmp_path / f"{name}.py").write_text(MODULE.format(raised=raised), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(cli.COMMANDS, "raising", (name, "Raises."))
        return cli.run(["raising"])

    return run_raising


@pytest.mark.parametrize(
    ("raised", "said", "code"),
    [
        ("UserMistake('no such\\nfile')", "no such file", 2),
        ("Fenced('slot 0 was taken over')", "slot 0 was taken over", 3),
        ("Fatal('the chain contradicts the log')", "the chain contradicts the log", 4),
        ("Retriable('no answer')", "no answer", 4),
    ],
)
def test_an_error_is_one_line_and_a_code(
    run: Run, capsys: pytest.CaptureFixture[str], raised: str, said: str, code: int
) -> None:
    """The message is said on standard error, on one line, after the program's name."""
    assert run(raised) == code
    assert capsys.readouterr() == ("", f"safestream: {said}\n")


def test_an_interrupt_is_quiet(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and says nothing."""
    assert run("KeyboardInterrupt") == 130
    assert capsys.readouterr() == ("", "")


def test_a_check_that_found_something_ends_with_its_code(run: Run) -> None:
    """A command says 1 by `typer.Exit`."""
    assert run("typer.Exit(1)") == 1


@pytest.mark.parametrize("bug", ["ValueError('x')", "Abortable('x')", "Poison(PoisonReason.TOMBSTONE, 'x')"])
def test_a_bug_stays_a_traceback(run: Run, bug: str) -> None:
    """What nobody foresaw isn't dressed up as a user's mistake; nor is an error that must not leave the worker."""
    with pytest.raises(Exception, match="x"):
        run(bug)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-command"], "No such command 'no-such-command'"),
        (["--no-such-option"], "No such option"),
        (["raisin"], "Did you mean 'raising'"),
    ],
)
def test_a_mistyped_command_line_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """It says where the help is, and ends with 2."""
    monkeypatch.setitem(cli.COMMANDS, "raising", ("json", "Raises."))
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--help" in err
    assert err.count("\n") == 1


def test_help_names_every_command_and_imports_nothing_slow() -> None:
    """Listing commands imports none of them."""
    program = "import sys; from safestream.cli import run; run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name in (name for name, (module, _) in cli.COMMANDS.items() if importlib.util.find_spec(module)):
        assert f" {name} " in done.stdout
    assert not any(f"'{heavy}'" in done.stdout for heavy in ("torch", "confluent_kafka", "pydantic", "fastavro"))

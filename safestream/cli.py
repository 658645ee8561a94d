"""The command line: which commands there are, and how each way of failing ends.

A command group is a module of its own that exposes `app`, a `typer.Typer`. It is imported only when it is used, so that
`safestream --help` doesn't wait for torch. A module with one command is that command; one that holds a group gives its
`app` a callback (or two commands).

How a command ends: 0 fine, 1 the check found something, 2 the user's mistake, 3 fenced, 4 fatal, 130 interrupted.
What is wrong stands on one line. Only a bug ends in a traceback.
"""

import importlib
import importlib.util
import os
import sys
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from schemas.errors import EXIT_CODES, SafestreamError

# name → (module, the line in `safestream --help`)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("safestream.demo", "Everything on this machine, on real comments, with a live view."),
    "doctor": ("safestream.doctor", "What is missing here, and how to get it."),
    "broker": ("safestream.broker", "A local Apache Kafka for development."),
    "topics": ("safestream.topics", "Our topics, with the settings they need."),
    "worker": ("safestream.worker", "Turn events into decisions until told to stop."),
    "ledger": ("safestream.ledger", "Keep the state of accounts until told to stop."),
    "produce": ("safestream.produce", "JSON Lines in, events out."),
    "tail": ("safestream.tail", "Any of our topics, decoded, as JSON Lines."),
    "score": ("safestream.score", "JSON Lines of events in, JSON Lines of scores out, without Kafka."),
    "schemas": ("safestream.schemas_cmd", "Check, register and scaffold schemas."),
    "dead-letters": ("safestream.dead_letters", "List, show and replay what could not be decoded."),
    "policy": ("safestream.policy", "Check, test and explain a policy pack."),
    "banks": ("safestream.banks", "Make and look at banks of known content."),
    "models": ("safestream.models", "List, verify and fetch models."),
    "train": ("safestream.train", "Train a detector."),
    "evaluate": ("safestream.evaluate", "What a model does to people, and for whom it is good."),
    "audit": ("safestream.audit", "Prove that nothing is missing and nothing was altered."),
}


class _Commands(TyperGroup):
    """The commands of the table: listed by their line there, imported when called."""

    def __init__(self, **settings: Any) -> None:
        lines = {name: TyperCommand(name, help=COMMANDS[name][1]) for name in COMMANDS}
        super().__init__(**settings | {"commands": lines})

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # vendored click
        """For calls: the command itself."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, command(name or ""), rest


def command(name: str) -> Any:
    """A command of the table, with its module imported."""
    module, line = COMMANDS[name]
    found = typer.main.get_command(importlib.import_module(module).app)
    found.help = found.help or line
    return found


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and with them content
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Kafka events in, enforcement decisions and a provable audit stream out, exactly once.",
    no_args_is_help=True,
)


@app.callback()
def _root() -> None:
    """Every command stands in the table above."""


def main() -> None:
    """Run the command line of this process, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; what went wrong is said on standard error, in one line."""
    root = typer.main.get_command(app)
    try:
        with root.make_context("safestream", arguments) as context:
            root.invoke(context)
        sys.stdout.flush()
    except typer.Exit as ended:  # `--help`, and a check that found something
        return ended.exit_code
    except SafestreamError as error:
        return _say(str(error), _exit_code(error))
    except typer.TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _exit_code(error: SafestreamError) -> int:
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    raise error  # Poison, Abortable and Overloaded never leave a worker: a bug


def _usage(error: typer.TyperException) -> int:
    """A mistyped command line: the library would draw a box around it."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 0
    path = context.command_path if context else "safestream"
    message = error.format_message().replace("Value error, ", "").rstrip(".")  # pydantic's words
    return _say(f"{message} (see `{path} --help`)", 2)


def _say(message: str, code: int) -> int:
    print("safestream:", " ".join(message.split()), file=sys.stderr)
    return code

"""`safestream policy`: check a policy pack, run its own test cases, explain one decision."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from enforcement.account_facts import AccountFacts
from enforcement.conditions import Facts, content_type
from enforcement.decide import Policy
from enforcement.explain import Explanation
from enforcement.explain import explain as explained
from enforcement.located_yaml import Mistakes
from enforcement.pack_cases import PATTERN, one_row, run_cases, untested
from enforcement.packs import DEFAULT, load_pack
from safestream.configuration import load
from schemas.categories import Category
from schemas.columns import Scores
from schemas.errors import UserMistake
from schemas.registry import open_registry
from schemas.statuses import Status
from schemas.topics import CONTENT

app = typer.Typer(add_completion=False, no_args_is_help=True)

PackArgument = Annotated[
    Path | None, typer.Argument(help="Folder of the pack; without one the configured pack, else the built-in one.")
]
PackOption = Annotated[
    Path | None, typer.Option("--pack", help="Folder of the pack; else the configured one, else the built-in one.")
]

_SCORE_LINE: Final = '{"detector": …, "status": …, "scores": {category: probability}}'


@app.command()
def check(pack: PackArgument = None) -> None:
    """Find all that is wrong with a pack and its cases, with file, line and column. Exit code 1 if anything is."""
    try:
        loaded = load_pack(_folder(pack))
        notices = [*loaded.notices, *untested(loaded)]
    except Mistakes as found:
        for problem in found.problems:
            print(problem)
        raise typer.Exit(1) from None
    for notice in notices:
        print(notice)
    print(f"{loaded.folder}: pack {loaded.name}, {len(loaded.file.rules)} rules, version {loaded.version}")


@app.command("test")
def run(pack: PackArgument = None) -> None:
    """Run a pack's own cases. Exit code 1 if one fails."""
    loaded = load_pack(_folder(pack))
    results = list(run_cases(loaded))
    if not results:
        raise UserMistake(f"{loaded.folder}: no cases here: they stand beside the pack, in files named {PATTERN}")
    failures = [result.failure for result in results if result.failure]
    for failure in failures:
        print(failure)
    print(f"{loaded.folder}: {len(results) - len(failures)} of {len(results)} cases as expected")
    if failures:
        raise typer.Exit(1)


@app.command()
def explain(
    event: Annotated[Path, typer.Argument(help="One event as a JSON line; - for standard input.", allow_dash=True)],
    scores: Annotated[Path, typer.Argument(help="Its lines of `safestream score`, one a detector.")],
    topic: Annotated[str, typer.Option(help="The topic that the event is for.")] = "content.comments",
    author_age: Annotated[int | None, typer.Option(min=0, max=120, help="Of the author; without it unknown.")] = None,
    recipient_age: Annotated[
        int | None, typer.Option(min=0, max=120, help="Of whom a message is for; without it unknown.")
    ] = None,
    strikes: Annotated[float, typer.Option(min=0, help="Of the author, as far as they count.")] = 0.0,
    pack: PackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Show for one event every rule of a pack, the score it saw, and why it fired or did not."""
    record = _one_event(event)
    operation = record.get("operation") or "create"
    attached = open_registry().latest(topic).roles.attachments_of(record) if topic in CONTENT else ()
    roles = tuple(sorted({each.role for each in attached}))
    row = _scores(scores, record.get("event_id"))
    policy = Policy(load_pack(_folder(pack)), row.columns, row.detectors, row.versions)
    recipients = [recipient_age] if "recipient_ids" in record or recipient_age is not None else []
    facts = Facts(
        [content_type(topic)],
        [record.get("surface")],
        [record.get("audience")],
        [operation],
        [roles],
        AccountFacts.stated(policy.gates, author_age, strikes, recipients),
    )
    try:
        found = explained(policy, facts, row, time.time_ns() // 1_000_000)
    except TypeError as error:  # the worker would hold this event, with the rule policy_error
        raise UserMistake(f"{event}: {error}") from None
    print(json.dumps(_as_json(found)) if as_json else "\n".join(_as_text(found)))


def _folder(pack: Path | None) -> Path:

    return pack or load().policy.pack or DEFAULT


def _one_event(path: Path) -> dict[str, Any]:
    lines = list(_json_lines(path))
    if len(lines) != 1:
        raise UserMistake(f"{path}: one event is expected, on one line; here are {len(lines)}")
    return lines[0]


def _scores(path: Path, event_id: object) -> Scores:
    """The lines of scores that belong to an event, as one row."""
    scores: dict[str, dict[Category, float]] = {}
    statuses: dict[str, Status] = {}
    versions: dict[str, str] = {}
    for number, line in enumerate(_json_lines(path), 1):
        if line.get("event_id", event_id) != event_id:
            continue
        name, status, given = _line_of_scores(path, number, line)
        statuses[name], versions[name] = status, str(line.get("model_version", ""))
        if given:
            scores[name] = given
    if not statuses:
        raise UserMistake(f"{path}: no line of scores for the event {event_id}")
    return one_row(scores, statuses, versions)


def _line_of_scores(path: Path, number: int, line: Mapping[str, Any]) -> tuple[str, Status, dict[Category, float]]:

    try:
        status = Status[line["status"]]
        given = {Category(category): float(p) for category, p in (line.get("scores") or {}).items()}
        return str(line["detector"]), status, given if status is Status.scored else {}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserMistake(f"{path}:{number}: {_SCORE_LINE} is expected: {error}") from None


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    if str(path) == "-" and sys.stdin is None:  # as `<&-` leaves it
        raise UserMistake("standard input: can't be read: it is closed")
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserMistake(f"{path}: can't be read: {reason}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except ValueError as error:
                raise UserMistake(f"{path}:{number}: not JSON: {error}") from None
            if not isinstance(record, dict):
                raise UserMistake(f"{path}:{number}: a JSON object is expected")
            yield record


def _as_json(found: Explanation) -> dict[str, Any]:

    said = asdict(found)
    said["outcome"]["action"] = found.outcome.action.name
    return said


def _as_text(found: Explanation) -> Iterator[str]:
    outcome = found.outcome
    yield f"{outcome.action.name}, by {outcome.rule or 'no rule'}{' (degraded)' if found.degraded else ''}"
    if found.missing:
        yield f"missing: {', '.join(found.missing)}"
    width = max((len(trace.rule) for trace in found.rules), default=0)
    for trace in found.rules:
        mark = "fired" if trace.fired else "-"
        yield f"  {mark:5}  {trace.rule:{width}}  {trace.action:12}  {trace.why}"

"""The demo's live view: one screen of 80 by 24 characters, drawn anew a few times a second."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from safestream.demo_tally import Numbers, Outcome, Shown, percentile
from safestream.masking import mask
from safestream.sample_ages import ACCOUNTS, GATE, TURNS, kind_of
from schemas import topics
from schemas.actions import Action

COLOURS: Final[Mapping[str, str]] = {
    "allow": "green",
    "label": "yellow",
    "limit_reach": "dark_orange",
    "age_restrict": "magenta",
    "hold": "dodger_blue1",
    "remove": "red",
    "dead letter": "grey62",
}
_LINES: Final = 7
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
_SPARK_SECONDS: Final = 20
_BAR: Final = 14
_TEXT: Final = 200


def view(numbers: Numbers, shown: Sequence[Shown], total: int, now: float, began: float) -> RenderableType:
    """The whole screen.

    Args:
        total: how many events there will be.
        now, began: monotonic seconds.
    """
    middle = Table.grid(expand=True)
    middle.add_column(ratio=1)
    middle.add_column(ratio=1)
    left = Panel(Group(_rates(numbers, now), Text(), _lag(numbers)), title="flow", border_style="grey50")
    right = Panel(_actions(numbers), title="decisions", border_style="grey50")
    middle.add_row(left, right)
    lines = Panel(_last(shown), title="last that were not simply allowed (masked)", border_style="grey50")
    return Group(_head(numbers, total, now - began), _special(numbers), _ages(numbers), middle, lines)


def _head(numbers: Numbers, total: int, seconds: float) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column()
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    settled = numbers.settled.total()
    latency = "p50 {:.2f} s, p99 {:.2f} s to a decision".format(
        *(percentile(numbers.latencies, share) for share in (0.5, 0.99))
    )
    grid.add_row(
        Text(f"{settled:,} of {total:,} decided", style="bold"),
        ProgressBar(total=total, completed=settled, complete_style="cyan", finished_style="green"),
        f"{latency}  {int(seconds) // 60}:{int(seconds) % 60:02}",
    )
    return grid


def special(numbers: Numbers) -> dict[str, Counter[str]]:
    """What is special about events → actions: other languages together, pictures, voice notes."""
    found: dict[str, Counter[str]] = {}
    for (kind, action), count in numbers.kinds.items():
        found.setdefault("other languages" if len(kind) < 4 else kind, Counter())[action] += count
    return dict(sorted(found.items()))


def _special(numbers: Numbers) -> RenderableType:
    """One line: of each kind how many were decided, and how many of them not simply allowed."""
    parts = [f"{k} {c.total():,} ({c.total() - c['allow']:,} acted on)" for k, c in special(numbers).items()]
    if numbers.provisional:
        parts.append(f"second look {numbers.again.total():,} of {numbers.provisional:,}")
    return Text(" " + "   ".join(parts), style="grey62", no_wrap=True, overflow="ellipsis")


def _ages(numbers: Numbers) -> RenderableType:
    """One line: on which side of the gate each account was when it wrote where 16 is asked for."""
    said = [f"{account} {', '.join(sides(numbers, account)) or '…'}" for account in ACCOUNTS]
    return Text(f" {GATE}+ only: {'; '.join(said)}", style="grey62", no_wrap=True, overflow="ellipsis")


def sides(numbers: Numbers, account: str) -> list[str]:
    """`reached`, `below` or `unknown`, of each of an account's comments so far."""
    return [gate.split()[-1] for outcome in _of(numbers, account) for gate in outcome.gates]


def treated(numbers: Numbers, account: str) -> list[str]:
    """What was decided of each of an account's comments so far, and the gate's outcome: never a probability."""
    return [f"{each.action} ({', '.join(each.gates)})" for each in _of(numbers, account)]


def _of(numbers: Numbers, account: str) -> list[Outcome]:
    found = [numbers.ages.get(kind_of(account, turn)) for turn in TURNS]
    return [each for each in found if each]


def _rates(numbers: Numbers, now: float) -> RenderableType:
    """The seconds that are over: the present one is not full yet."""
    grid = Table.grid(padding=(0, 1))
    seconds = range(int(now) - _SPARK_SECONDS, int(now))
    sent, settled = ([counts[second] for second in seconds] for counts in (numbers.sent_in, numbers.settled_in))
    most = max(*sent, *settled, 1)
    grid.add_row("produced", Text(_sparks(sent, most), style="cyan"), f"{sent[-1]:,}/s")
    grid.add_row("decided", Text(_sparks(settled, most), style="green"), f"{settled[-1]:,}/s")
    return grid


def _sparks(values: Iterable[int], most: int) -> str:
    steps = len(_SPARKS) - 1
    return "".join(_SPARKS[-(-value * steps // most)] for value in values)


def _lag(numbers: Numbers) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="grey62")
    table.add_column("content")
    for name in ("produced", "decided", "lag"):
        table.add_column(name, justify="right")
    for topic in topics.CONTENT:
        lag = numbers.lag.get(topic, 0)
        counts = (f"{numbers.produced[topic]:,}", f"{numbers.settled[topic]:,}")
        table.add_row(_kind(topic), *counts, Text(f"{lag:,}", style="bold" if lag > 100 else ""))
    return table


def _actions(numbers: Numbers) -> RenderableType:
    counts = by_action(numbers)
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(ratio=1)
    most = max([*counts.values(), 1])
    for name, count in counts.items():
        bar = "█" * (-(-count * _BAR // most))
        table.add_row(name, f"{count:,}", Text(bar, style=COLOURS[name]))
    return table


def by_action(numbers: Numbers) -> dict[str, int]:
    """Every action, mildest first, then the dead letters; the actions that nothing leads to have their 0."""
    counts: Counter[str] = Counter()
    for (action, _), count in numbers.actions.items():
        counts[action] += count
    return {action.name: counts[action.name] for action in Action} | {"dead letter": numbers.reasons.total()}


def _last(shown: Sequence[Shown]) -> RenderableType:
    table = Table(box=None, expand=True, show_header=False, padding=(0, 1, 0, 0))
    for width in (12, 8, 19):
        table.add_column(width=width, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for each in [*shown[:_LINES], *[None] * (_LINES - len(shown))]:
        table.add_row(*(_line(each) if each else ("",)))
    return table


def _line(shown: Shown) -> tuple[RenderableType, ...]:
    outcome = shown.outcome
    if outcome.action is None:
        what, why, text = "dead letter", outcome.reason or "", ""
    else:
        score = "" if outcome.score is None else f" {outcome.score:.2f}"
        what, why, text = outcome.action, f"{outcome.category or outcome.rule or ''}{score}", mask(shown.text, _TEXT)
    return Text(what, style=COLOURS[what]), Text(_kind(shown.topic), style="grey62"), why, Text(text)


def _kind(topic: str) -> str:
    return topic.removeprefix("content.").removesuffix("-signals")


def progress_line(numbers: Numbers, total: int, now: float, began: float) -> str:
    """The same in a line, for a log."""
    settled, produced = numbers.settled.total(), numbers.produced.total()
    rate = sum(numbers.settled_in[int(now) - back] for back in range(1, 6)) / 5
    return (
        f"{now - began:4.0f} s: {produced:,} of {total:,} produced, {settled:,} decided ({rate:,.0f}/s), "
        f"lag {produced - settled:,}, {numbers.reasons.total():,} dead letters"
    )

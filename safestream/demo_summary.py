"""What the demo says at its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from safestream.demo_tally import Numbers, percentile
from safestream.demo_view import COLOURS, by_action, special, treated
from safestream.sample_ages import ACCOUNTS, GATE
from schemas.actions import Action

_NOTHING_FOUND: Final = "nothing found"


@dataclass(frozen=True, slots=True)
class Ending:
    """All that the demo found out.

    total    events that were to be produced
    seconds  since the command began, set-up included
    census, verify  exit code and what they said
    worker   exit code of the worker
    """

    numbers: Numbers
    total: int
    seconds: float
    census: tuple[int, str]
    verify: tuple[int, str]
    worker: int

    @property
    def problems(self) -> list[str]:
        """Why this run is not a good one; empty for a good one."""
        numbers = self.numbers
        counts = {
            "events without a decision or dead letter": self.total - numbers.settled.total() - numbers.failed,
            "events that the broker did not take": numbers.failed,
            "events decided twice": numbers.doubled,
            "events with another outcome than their bytes ask for": numbers.mistaken,
        }
        found = [f"{count:,} {what}" for what, count in counts.items() if count]
        found += ["the audit stream does not verify"] if self.verify[0] or self.census[0] else []
        return found + ([f"the worker ended with exit code {self.worker}"] if self.worker else [])


def show(ending: Ending, console: Console) -> None:
    """Print everything, the verdict last."""
    numbers = ending.numbers
    console.print(Text("\nDecisions by category and action", style="bold"))
    console.print(_decisions(numbers))
    if numbers.kinds:
        console.print(Text("\nOther languages, pictures, recordings", style="bold"))
        for kind, counts in special(numbers).items():
            said = ", ".join(f"{action} {count:,}" for action, count in counts.most_common())
            console.print(f"  {kind:<16} {said}", highlight=False)
    if numbers.ages:
        console.print(
            Text(f"\nA surface for {GATE} and over, three accounts, before and after more was known", style="bold")
        )
        for account in ACCOUNTS:
            console.print(f"  {account:<8} {' → '.join(treated(numbers, account))}", highlight=False)
    if numbers.provisional:
        console.print(Text("\nSecond look", style="bold"))
        for (before, after), count in sorted(numbers.again.items()):
            console.print(f"  {before} → {after:<12} {count:,}", highlight=False)
    console.print(Text("\nDead letters by reason", style="bold"))
    for line in _in_lines([f"{reason} {count:,}" for reason, count in sorted(numbers.reasons.items())]):
        console.print(f"  {line}", highlight=False)
    console.print(Text("\nSpeed", style="bold"))
    for line in _speed(numbers):
        console.print(f"  {line}", highlight=False)
    console.print(Text("\nAudit", style="bold"))
    for line in (ending.census[1] + "\n" + ending.verify[1]).strip().splitlines():
        console.print(f"  {line}", highlight=False, markup=False)
    console.print()
    console.print(_verdict(ending), highlight=False)


def _decisions(numbers: Numbers) -> Table:
    """Categories down, actions across; the most frequent category first."""
    used = [action.name for action in Action if by_action(numbers)[action.name]]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="grey62")
    table.add_column("  category")
    for action in used:
        table.add_column(Text(action, style=COLOURS[action]), justify="right")
    rows: dict[str | None, dict[str, int]] = {}
    for (action, category), count in numbers.actions.items():
        rows.setdefault(category, {})[action] = count
    for category, counts in sorted(rows.items(), key=lambda row: -sum(row[1].values())):
        table.add_row(f"  {category or _NOTHING_FOUND}", *(f"{counts[a]:,}" if a in counts else "" for a in used))
    table.add_row("  all", *(f"{by_action(numbers)[action]:,}" for action in used), style="bold")
    return table


def _in_lines(words: list[str], width: int = 76) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) > width:
            yield line
            line = ""
        line += f"{', ' if line else ''}{word}"
    yield line or "none"


def _speed(numbers: Numbers) -> Iterator[str]:
    seconds = max(numbers.last - numbers.first, 1e-9)
    settled = numbers.settled.total()
    busiest = max(numbers.settled_in.values(), default=0)
    yield f"throughput  {settled / seconds:,.0f} events/s over {seconds:.1f} s, {busiest:,} in the busiest second"
    shares = [percentile(numbers.latencies, share) * 1000 for share in (0.5, 0.99)]
    yield "latency     p50 {:,.0f} ms, p99 {:,.0f} ms from produce to a decision to be read".format(*shares)
    if numbers.degraded:
        yield f"degraded    {numbers.degraded:,} decisions made without something that the policy asked for"


def _verdict(ending: Ending) -> Text:
    numbers = ending.numbers
    time = f"{ending.seconds:.0f} s in all"
    if ending.problems:
        return Text(f"NOT GOOD after {time}: {'; '.join(ending.problems)}", style="bold red")
    decided, dead = numbers.actions.total(), numbers.reasons.total()
    return Text(
        f"All {ending.total:,} events have one outcome: {decided:,} decisions, {dead:,} dead letters.\n"
        f"The audit verifies. {time}.",
        style="bold green",
    )

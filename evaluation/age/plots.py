"""Plots as SVG to stand in a page: its style sheet colours them, so that they follow light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 22, 10, 42
_ROW: Final = 22  # height of a row of a forest plot

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where numbers are drawn."""

    x: Span
    y: Span
    width: float = 430
    height: float = 290
    left: float = _LEFT

    def across(self, value: float) -> float:
        """A pixel; numbers out of the frame lie on its edge."""
        share = (min(max(value, self.x[0]), self.x[1]) - self.x[0]) / (self.x[1] - self.x[0])
        return round(self.left + share * (self.width - self.left - _RIGHT), 1)

    def down(self, value: float) -> float:
        """A pixel; rising numbers go up."""
        share = (min(max(value, self.y[0]), self.y[1]) - self.y[0]) / (self.y[1] - self.y[0])
        return round(self.height - _BOTTOM - share * (self.height - _BOTTOM - _TOP), 1)


@dataclass(frozen=True, slots=True)
class Dot:
    """A point; with a `span`, its interval."""

    x: float
    y: float
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a forest plot."""

    label: str
    value: float
    span: Span
    kind: str = "new"


def drawing(frame: Frame, title: str, *parts: str) -> str:
    """The whole, from its parts; `title` is what is read out where nothing is seen."""
    return (
        f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def axes(frame: Frame, named: tuple[str, str], x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]]) -> str:
    """Grid, ticks and the names of both axes."""
    bottom, end = frame.height - _BOTTOM, frame.width - _RIGHT
    down = "".join(_tick(frame.across(at), bottom, word) for at, word in x)
    side = "".join(
        f'<line class="grid" x1="{frame.left}" x2="{end}" y1="{frame.down(at)}" y2="{frame.down(at)}"/>'
        f'<text x="{frame.left - 6}" y="{frame.down(at) + 4}" text-anchor="end">{escape(word)}</text>'
        for at, word in y
    )
    return (
        f'{side}{down}<text class="name" x="{(frame.left + end) / 2}" y="{frame.height - 4}" text-anchor="middle">'
        f'{escape(named[0])}</text><text class="name" transform="translate(11 {(bottom + _TOP) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(named[1])}</text>'
    )


def line(frame: Frame, points: Sequence[tuple[float, float]], kind: str) -> str:
    """Straight from point to point."""
    path = " ".join(f"{frame.across(x)},{frame.down(y)}" for x, y in points)
    return f'<polyline class="line {kind}" points="{path}"/>'


def dots(frame: Frame, found: Sequence[Dot], kind: str, shift: float = 0) -> str:
    """Points, moved by some pixels so that two of the same place are both seen."""
    return "".join(_dot(frame, one, kind, shift) for one in found)


def forest(rows: Sequence[Row], reference: float, name: str, ticks: Sequence[tuple[float, str]], title: str) -> str:
    """A line for each row, with its interval; what is right of the reference is larger than that."""
    ends = [end for row in rows for end in row.span] + [at for at, _ in ticks] + [reference]
    left = min(8 + 6.6 * max(len(row.label) for row in rows), 215)
    height = _TOP + _ROW * len(rows) + _BOTTOM
    frame = Frame((min(ends), max(ends)), (len(rows), 0), height=height, left=left)
    middle = frame.across(reference)
    lines = [f'<line class="reference" x1="{middle}" x2="{middle}" y1="{_TOP}" y2="{height - _BOTTOM}"/>']
    lines += [_tick(frame.across(at), height - _BOTTOM, word) for at, word in ticks]
    lines += [_forest_row(frame, place, row) for place, row in enumerate(rows)]
    lines.append(
        f'<text class="name" x="{frame.width / 2}" y="{height - 4}" text-anchor="middle">{escape(name)}</text>'
    )
    return drawing(frame, title, *lines)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high."""
    rough = (high - low) / about
    size = 10.0 ** _exponent(rough)
    step = next((size * each for each in (1, 2, 2.5, 5, 10) if size * each >= rough), size * 10)
    first = int(low // step) + (low % step > 1e-9)
    return [round(place * step, 10) for place in range(first, int((high + 1e-9) // step) + 1)]


def _exponent(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def _tick(x: float, bottom: float, word: str) -> str:
    return f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{escape(word)}</text>'


def _dot(frame: Frame, one: Dot, kind: str, shift: float) -> str:
    x = frame.across(one.x) + shift
    mark = f'<circle class="{kind}" cx="{x}" cy="{frame.down(one.y)}" r="4"/>'
    if one.span is None:
        return mark
    ends = frame.down(one.span[0]), frame.down(one.span[1])
    return f'<line class="span {kind}" x1="{x}" x2="{x}" y1="{ends[0]}" y2="{ends[1]}"/>{mark}'


def _forest_row(frame: Frame, place: int, row: Row) -> str:
    y = _TOP + _ROW * (place + 0.5)
    ends = frame.across(row.span[0]), frame.across(row.span[1])
    return (
        f'<text x="{frame.left - 8}" y="{y + 4}" text-anchor="end">{escape(_short(row.label))}</text>'
        f'<line class="span {row.kind}" x1="{ends[0]}" x2="{ends[1]}" y1="{y}" y2="{y}"/>'
        f'<circle class="{row.kind}" cx="{frame.across(row.value)}" cy="{y}" r="4"/>'
    )


def _short(label: str) -> str:
    return label if len(label) <= 32 else label[:31] + "…"

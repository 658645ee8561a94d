"""Two panels as SVG: who is stopped and who passes, by the share who lie. Written by hand: it is two sets of lines."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

_WIDE: Final = 340  # of a panel's inside
_HIGH: Final = 250
_LEFT: Final = 60
_TOP: Final = 44
_GAP: Final = 90
_COLOURS: Final = ("#555555", "#0072b2", "#d55e00")  # told apart by those who see fewer colours (Okabe and Ito)
_DASHES: Final = ("2 4", "7 4", "none")
_TITLES: Final = ("of those at or above 16: stopped", "of those below 16: pass")


def write(path: Path, lies: Sequence[float], lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """`lines`: by rule, for each share of lies the two shares."""
    wide, high = 2 * (_LEFT + _WIDE) + _GAP - 30, _TOP + _HIGH + 60 + 20 * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="13">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for panel, title in enumerate(_TITLES):
        values = {rule: [both[panel] for both in shares] for rule, shares in lines.items()}
        most = math.ceil(max(value for one in values.values() for value in one) / 0.2) * 0.2  # even ticks
        parts += _panel(_LEFT + panel * (_WIDE + _GAP), title, lies, values, most)
    parts += _legend(list(lines))
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _panel(
    left: int, title: str, lies: Sequence[float], values: Mapping[str, Sequence[float]], most: float
) -> Iterator[str]:
    bottom = _TOP + _HIGH
    yield f'<text x="{left}" y="{_TOP - 16}" font-weight="bold">{escape(title)}</text>'
    for step in range(5):
        share, y = most * step / 4, bottom - _HIGH * step / 4
        yield f'<line x1="{left}" y1="{y:.1f}" x2="{left + _WIDE}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
    for lying in lies:
        yield f'<text x="{left + _WIDE * lying:.1f}" y="{bottom + 18}" text-anchor="middle">{lying:.0%}</text>'
    middle = f'x="{left + _WIDE / 2}" y="{bottom + 38}" text-anchor="middle"'
    yield f"<text {middle}>of those below 18 declare to be adults</text>"
    for place, shares in enumerate(values.values()):
        xy = [(left + _WIDE * lying, bottom - _HIGH * one / most) for lying, one in zip(lies, shares, strict=True)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        style = f'stroke="{_COLOURS[place]}" stroke-width="2.5" stroke-dasharray="{_DASHES[place]}"'
        yield f'<polyline points="{points}" fill="none" {style}/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_COLOURS[place]}"/>' for x, y in xy)


def _legend(rules: Sequence[str]) -> Iterator[str]:
    for place, rule in enumerate(rules):
        y = _TOP + _HIGH + 62 + 20 * place
        style = f'stroke="{_COLOURS[place]}" stroke-width="2.5" stroke-dasharray="{_DASHES[place]}"'
        yield f'<line x1="{_LEFT}" y1="{y - 4}" x2="{_LEFT + 40}" y2="{y - 4}" {style}/>'
        yield f'<text x="{_LEFT + 50}" y="{y}">{escape(rule)}</text>'

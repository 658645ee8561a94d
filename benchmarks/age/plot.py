"""The trade-off as an SVG that follows light and dark."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from evaluation.age.plots import ticks

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 360, 250, 54, 34, 44
_WAYS: Final = ("classifier", "regressor", "reweighted", "group DRO", "calibrated by group")
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--paper:#fff;--edge:#d5dae0;
--c0:#b3540b;--c1:#0b62c4;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#a0a9b4;--paper:#14171b;--edge:#39414b;
--c0:#f0a060;--c1:#6cb2ff;--c2:#56d364;--c3:#c297ff;--c4:#ff80c8}}
text{font:12px system-ui,sans-serif;fill:var(--soft)}.t{fill:var(--ink);font-weight:600}.n{fill:var(--ink)}
.g{stroke:var(--edge)}.b{fill:var(--paper)}
"""


def plot(found: Mapping[str, Any]) -> str:
    """A row for each column of groups, a panel for each gate: gap in who is stopped against who passes."""
    columns = list(found)
    gates = list(found[columns[0]]["regressor"])
    width, height = _WIDTH * len(gates), _HEIGHT * len(columns) + 34
    panels = [
        _panel(found[column], age, column, place * _WIDTH, row * _HEIGHT)
        for row, column in enumerate(columns)
        for place, age in enumerate(gates)
    ]
    keys = [_key(place, name, height - 14) for place, name in enumerate(_WAYS)]
    colours = "".join(f".c{at}{{fill:var(--c{at});stroke:var(--c{at})}}" for at in range(len(_WAYS)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="Mitigations: gap between groups against people below the gate who pass"><style>{_STYLE}{colours}'
        f'</style><rect class="b" width="{width}" height="{height}"/>{"".join(panels)}{"".join(keys)}</svg>\n'
    )


def _panel(ways: Mapping[str, Any], age: str, column: str, left: float, top: float) -> str:
    ones = {name: ways[name][age] for name in _WAYS}
    most = max(one["gap"]["stopped"]["interval"][1] for one in ones.values()) * 1.05
    shares = [one["everyone"]["passing"]["value"] for one in ones.values()]
    low, high = min(shares) - 0.03, max(shares) + 0.03

    def x(value: float) -> Any:
        return round(left + _LEFT + value / most * (_WIDTH - _LEFT - 16), 1)

    def y(value: float) -> Any:
        return round(top + _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP), 1)

    bottom = top + _HEIGHT - _BOTTOM
    parts = [f'<text class="t" x="{left + _LEFT}" y="{top + 20}">{escape(column)}, gate at {age}</text>']
    parts += [
        f'<line class="g" x1="{x(0)}" x2="{x(most)}" y1="{y(at / 100)}" y2="{y(at / 100)}"/>'
        f'<text x="{x(0) - 6}" y="{y(at / 100) + 4}" text-anchor="end">{at:g} %</text>'
        for at in ticks(100 * low, 100 * high, 4)
    ]
    parts += [
        f'<text x="{x(at / 100)}" y="{bottom + 15}" text-anchor="middle">{at:g}</text>'
        for at in ticks(0, 100 * most, 4)
    ]
    parts.append(
        f'<text class="n" x="{x(most / 2)}" y="{bottom + 32}" text-anchor="middle">gap in stopped, points</text>'
    )
    parts.append(
        f'<text class="n" transform="translate({left + 12} {(bottom + top + _TOP) / 2}) rotate(-90)" '
        'text-anchor="middle">passing of those below</text>'
    )
    for place, one in enumerate(ones.values()):
        gap, passing = one["gap"]["stopped"], y(one["everyone"]["passing"]["value"])
        ends = [x(end) for end in gap["interval"]]
        parts.append(
            f'<line class="c{place}" x1="{ends[0]}" x2="{ends[1]}" y1="{passing}" y2="{passing}" opacity=".55"/>'
            f'<circle class="c{place}" cx="{x(gap["value"])}" cy="{passing}" r="4.5"/>'
        )
    return "".join(parts)


def _key(place: int, name: str, y: float) -> str:
    left = 20 + place * 138
    return f'<circle class="c{place}" cx="{left}" cy="{y - 4}" r="4.5"/><text x="{left + 10}" y="{y}">{name}</text>'

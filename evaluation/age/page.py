"""The report as one page that needs nothing else: no network, no script."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evaluation.age import gaps, plots, summary
from evaluation.age.plots import Dot, Frame, Row

SIGNIFICANT: Final = 0.05
_MINUS: Final = "\N{MINUS SIGN}"

Found = Mapping[str, Any]


def page(found: Found) -> str:
    """HTML, of the figures."""
    environment = Environment(
        loader=PackageLoader("evaluation.age", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"share": share, "number": number, "plus": plus, "span": span, "stood": stood}
    template = environment.get_template("report.html.j2")
    return template.render(
        found=found,
        old="old" in found["models"],
        sentences=list(summary.sentences(found)),
        plots={age: _gate_plots(age, gate) for age, gate in found["gates"].items()},
        by_age=_by_age(found["by_age"]),
        nearer=_nearer(found["groups"]),
        striking=_striking(found["groups"]),
        equal=gaps.STOPPED,
    )


def share(rate: Found) -> str:
    """1.9 %."""
    return "\N{EN DASH}" if rate["value"] is None else f"{100 * rate['value']:.1f} %"


def number(figure: Found) -> str:
    """5.26."""
    return f"{figure['value']:.2f}"


def plus(figure: Found) -> str:
    """With its sign."""
    return f"{figure['value']:+.2f}".replace("-", _MINUS)


def span(figure: Found, times: float = 1.0, decimals: int = 2) -> str:
    """The interval, from its low end to its high one."""
    if figure["interval"] is None:
        return ""
    low, high = (f"{end * times:.{decimals}f}".replace("-", _MINUS) for end in figure["interval"])
    return f"{low} to {high}"


def stood(figure: Found) -> bool:
    """Whether a group's figure differs from the others' beyond chance, after correction."""
    return bool(figure.get("p", 1.0) < SIGNIFICANT)


def _gate_plots(age: str, gate: Found) -> list[tuple[str, Markup]]:
    models = [name for name in ("old", "new") if name in gate]
    found = [
        ("The choice at every threshold; the dots are the models as they come.", _trade_off(age, gate, models)),
        ("Calibration: people in ten parts by what the model says of them.", _calibration(age, gate, models)),
    ]
    return [(caption, Markup(drawing)) for caption, drawing in found]  # noqa: S704 - plots escapes every word


def _trade_off(age: str, gate: Found, models: Sequence[str]) -> str:
    frame = Frame((0, 0.2), (0, 1))
    named = f"stopped, of those {age} and over", f"passing, of those under {age}"
    x = [(each, f"{100 * each:g} %") for each in (0, 0.05, 0.1, 0.15, 0.2)]
    parts = [plots.axes(frame, named, x, [(each, f"{100 * each:g} %") for each in (0, 0.25, 0.5, 0.75, 1)])]
    for name in models:
        parts.append(plots.line(frame, [(one["stopped"], one["passing"]) for one in gate[name]["curve"]], name))
        rates = gate[name]["stopped"], gate[name]["passing"]
        parts.append(plots.dots(frame, [Dot(rates[0]["value"], rates[1]["value"], rates[1]["interval"])], name))
    return plots.drawing(frame, f"Stopped against passing at {age}", *parts)


def _calibration(age: str, gate: Found, models: Sequence[str]) -> str:
    frame = Frame((0, 1), (0, 1))
    ticks = [(each, f"{100 * each:g} %") for each in (0, 0.25, 0.5, 0.75, 1)]
    parts = [plots.axes(frame, (f"probability of {age} and over, as said", "as found"), ticks, ticks)]
    parts.append(plots.line(frame, [(0, 0), (1, 1)], "reference"))
    for name in models:
        points = [
            Dot(one["said"], one["found"]["value"], one["found"]["interval"]) for one in gate[name]["reliability"]
        ]
        parts.append(plots.dots(frame, points, name, -3 if name == "old" else 3))
    return plots.drawing(frame, f"Calibration at {age}", *parts)


def _by_age(bands: Sequence[Found]) -> list[tuple[str, Markup]]:
    found = []
    for figure, caption in (
        ("mae", "Mean absolute error, years."),
        ("bias", "Mean signed error, years: above 0 is too old."),
    ):
        found.append((caption, Markup(_bands(bands, figure, caption))))  # noqa: S704 - plots escapes every word
    return found


def _bands(bands: Sequence[Found], figure: str, caption: str) -> str:
    models = [name for name in ("old", "new") if name in bands[0]]
    ends = [end for band in bands for name in models for end in band[name][figure]["interval"]]
    low, high = min(0.0, *ends), max(ends)
    frame = Frame((-0.5, len(bands) - 0.5), (low, high))
    x = [
        (place, band["band"].replace(" to ", "\N{EN DASH}").replace(" and over", "+"))
        for place, band in enumerate(bands)
    ]
    parts = [plots.axes(frame, ("true age", "years"), x, [(at, f"{at:g}") for at in plots.ticks(low, high)])]
    for name in models:
        points = [Dot(at, band[name][figure]["value"], band[name][figure]["interval"]) for at, band in enumerate(bands)]
        parts.append(plots.dots(frame, points, name, -4 if name == "old" else 4))
    return plots.drawing(frame, caption, *parts)


def _nearer(groups: Found) -> Markup | None:
    rows = [
        Row(f"{name} ({one['people']})", one["change"]["mae"]["value"], one["change"]["mae"]["interval"])
        for name, one in groups.items()
        if "mae" in one.get("change", {})
    ]
    if not rows:
        return None
    ends = [end for row in rows for end in row.span]
    ticks = [(at, f"{at:g}") for at in plots.ticks(min(*ends, 0), max(*ends, 0))]
    name = "change of the mean error in years; left of 0 is nearer"
    return Markup(plots.forest(rows, 0.0, name, ticks, "Change of error by group"))  # noqa: S704


def _striking(groups: Found) -> int:
    """How many of the new model's figures of groups differ from the others' beyond chance."""
    return sum(stood(figure) for one in groups.values() for figure in one["new"].values())

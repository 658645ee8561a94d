"""What the figures can't show, first of all: gates with nobody on one side, years that are missing beside a gate."""

from collections.abc import Sequence
from typing import Final

from detectors.age.spec import PUBLISHED, Spec
from evaluation.age.accuracy import Ages
from evaluation.age.gates import LEAST

_WIDE: Final = 2  # missing years in a row that are a gap and no accident


def first_line(spec: Spec, ages: Ages, judged: Sequence[int]) -> str:
    """One paragraph, the report's first. `judged`: the gates that it has figures of."""
    said = []
    if spec.about.simulated:
        said.append("these people are simulated: nothing here is evidence of how real people are treated, at any age.")
    if silent := [gate for gate in PUBLISHED if gate not in judged]:
        said.append(_silence(silent, ages, spec))
        if 18 in silent and (challenge := [gate for gate in judged if gate > 18]):
            stand = "stands" if len(challenge) == 1 else "stand"
            said.append(f"Challenge ages ({listed(challenge)}) {stand} in for 18.")
    said += [
        f"Nobody here is {gap[0]} to {gap[1]}, which makes the gate at {gate} look easier than it is: people of those "
        "ages are the hardest to tell apart there."
        for gate in judged
        if (gap := _gap(gate, ages))
    ]
    if not spec.about.simulated:
        said.append("Ages are what the table says, not verified ones, and other people may differ from these.")
    return "What this cannot show: " + " ".join(said)


def _silence(gates: Sequence[int], ages: Ages, spec: Spec) -> str:
    counts = [f"{int((ages < gate).sum()) or 'nobody'} under {gate}" for gate in gates]
    where = (
        "" if spec.about.simulated or 13 not in gates else "; the gate at 13 has been tried on simulated people only"
    )
    several = "gate" if len(gates) == 1 else "gates"
    return f"anything about the {several} at {listed(gates)} (of these people {', '.join(counts)}){where}."


def listed(ages: Sequence[int]) -> str:
    """13, 16 and 18."""
    words = [str(age) for age in ages]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def judged_gates(gates: Sequence[int], ages: Ages) -> list[int]:
    """Those with enough people on both sides."""
    return [gate for gate in gates if min((ages < gate).sum(), (ages >= gate).sum()) >= LEAST]


def _gap(gate: int, ages: Ages) -> tuple[int, int] | None:
    """The first and last of the years around the gate of which there is nobody, though there are people beyond them."""
    missing = [age for age in range(int(ages.min()), int(ages.max())) if not (ages == age).any()]
    first, after = gate, gate
    while first - 1 in missing:
        first -= 1
    while after in missing:
        after += 1
    return (first, after - 1) if after - first >= _WIDE else None

"""What, with the data and the seed, determines the weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

PUBLIC: Final = {  # source → its share of the rows that are drawn: (labelled hate, all others)
    "davidson": (0.03, 0.10),
    "hatemoji": (0.07, 0.07),
    "toxigen": (0.05, 0.06),
    "implicit_hate": (0.08, 0.08),
    "vicomtech": (0.02, 0.05),
    "hateval": (0.05, 0.06),
    "olid": (0.0, 0.10),
    "germeval2018": (0.025, 0.045),
    "korean_hate": (0.025, 0.055),
    "sms_spam": (0.0, 0.03),
}
OWN: Final = {"contrast_en": 0.22} | {  # language of the contrast cases → share
    f"contrast_{language}": 0.04
    for language in (
        "ar",
        "de",
        "es",
        "fr",
        "hi",
        "hi-Latn",
        "it",
        "ja",
        "ko",
        "nl",
        "pl",
        "pt",
        "ru",
        "sv",
        "tr",
        "zh",
    )
}


_LEAST_RISE: Final = 0.5  # rounds: a short run that starts any steeper learns nothing


@dataclass(frozen=True, slots=True)
class Phase:
    """So many rows, drawn by these weights."""

    rounds: int
    public: float  # share of the rows that come from public sets; the rest are contrast cases
    exchange: float = 0.0  # share of the texts whose groups are exchanged for others
    twins: float = 0.0  # share of the texts that stand beside themselves about another group, to score alike
    peak: float = 0.0  # the learning rate rises to this share of the full one, and falls; 0: it goes on falling


def in_phases(rounds: int) -> tuple[Phase, ...]:
    """Of at least three rounds: public sets, then own cases as well, then groups exchanged; then texts with twins."""
    last = max(1, rounds * 12 // 31)
    middle = max(1, (rounds - last - 1) * 5 // 9)
    return (
        Phase(1, 1.0, peak=1.0),
        Phase(middle, 0.5),
        Phase(rounds - last - middle - 1, 0.5, exchange=0.6),
        Phase(last, 0.6, exchange=0.6, twins=0.5, peak=0.6),
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """The shipped model's, unless told otherwise."""

    phases: tuple[Phase, ...] = in_phases(31)
    round_rows: int = 6_000  # after each round the state is saved
    batch_pieces: int = 1_024  # in one step, padding included
    most_pieces: int = 64  # of a training text, special tokens included
    fillings: int = 24  # most of one contrast template
    learning_rate: float = 6e-4
    warm_up: float = 0.03  # share of the rows until a peak of the learning rate
    weight_decay: float = 0.01
    rank: int = 16
    alpha: int = 32
    obfuscate: float = 0.2  # share of the rows that are written as to evade a filter
    seed: int = 3
    leave_out: str = ""  # a source that is not trained on, to see how the model does on it
    public: Mapping[str, tuple[float, float]] = field(default_factory=lambda: PUBLIC)
    own: Mapping[str, float] = field(default_factory=lambda: OWN)

    @property
    def rounds(self) -> int:
        """Of all phases."""
        return sum(phase.rounds for phase in self.phases)

    def phase(self, number: int) -> Phase:
        """In which this round falls."""
        for phase in self.phases:
            if number < phase.rounds:
                return phase
            number -= phase.rounds
        return self.phases[-1]

    def pace(self, rounds: float) -> float:
        """The learning rate's factor after so many rounds: up, and down in a straight line; again for each peak."""
        for length, peak in self._cycles():
            if rounds < length:
                rise = max(self.warm_up * length, _LEAST_RISE)
                return peak * min(rounds / rise, (length - rounds) / (length - rise))
            rounds -= length
        return 0.0

    def _cycles(self) -> list[tuple[int, float]]:
        """Rounds and peak of each rise and fall of the learning rate."""
        found: list[tuple[int, float]] = []
        for phase in self.phases:
            if phase.peak:
                found.append((phase.rounds, phase.peak))
            else:
                found[-1] = (found[-1][0] + phase.rounds, found[-1][1])
        return found

    def describe(self) -> dict[str, Any]:
        """For the model's card."""
        return asdict(self)

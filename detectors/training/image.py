"""What words lose on their way through a picture: HateCheck's cases drawn, and scored by the image detector.

    python -m detectors.training.image DATA [--cases 200] [--card]

Each case is scored as plain text, drawn whole into a picture without a caption, and with its first half as the caption
and the second half drawn. Nothing is fitted. `--card` writes the figures into the card of the image detector.
"""

import argparse
import base64
import io
import json
import random
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detectors.image.card import FOLDER, read_card
from detectors.image.detector import ImageDetector, build
from detectors.items import Items
from detectors.loading.model_directory import CARD, open_directory, write_json
from detectors.text.detector import DEFAULT_MODEL
from detectors.training.datasets import table
from detectors.training.measures import auc_with_interval
from schemas.attachments import Attachment
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.roles import Role

_SEED: Final = 11
_MARGIN: Final = 20  # pixels


def main() -> None:
    """The command in this module's head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="the folder that holds hatecheck/test_suite_cases.csv, plain or gzipped"
    )
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    chosen = parser.parse_args()
    figures = measured(chosen.data, chosen.cases)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    if chosen.card:
        card, _ = read_card()
        write_json(card.model_copy(update={"evaluation": {"hatecheck_drawn": figures}}), FOLDER / CARD)


def measured(data: Path, cases: int) -> dict[str, Any]:
    """ROC AUC of hate: of the plain texts, drawn, and split between caption and picture; and how far scores move."""
    rows = table(data / "hatecheck" / "test_suite_cases.csv")
    if rows is None:
        raise UserMistake(f"{data / 'hatecheck' / 'test_suite_cases.csv'} is missing")
    rng = random.Random(_SEED)  # noqa: S311 - reproducible, not secret
    drawn = rng.sample(rows, min(cases, len(rows)))
    hateful = np.array([row["label_gold"] == "hateful" for row in drawn])
    texts = [row["test_case"].strip() for row in drawn]
    halves = [_halves(text) for text in texts]
    detector = build({})
    detector.warm()
    blank = Image.new("RGB", (64, 64), "white")
    plain = _hate(detector, texts, [blank] * len(texts))
    whole = _hate(detector, [""] * len(texts), [picture(text, rng) for text in texts])
    split = _hate(detector, [first for first, _ in halves], [picture(second, rng) for _, second in halves])
    named = {"plain": plain, "drawn": whole, "split": split}
    moved = {name: round(float(np.abs(scores - plain).mean()), 4) for name, scores in named.items() if name != "plain"}
    return {
        "text_model": open_directory(DEFAULT_MODEL).version,
        "roc_auc": {name: auc_with_interval(scores, hateful) for name, scores in named.items()},
        "roc_auc_by_target": _by_target(named, hateful, [row["target_ident"] for row in drawn]),
        "mean_distance_from_plain": moved,
    }


def _by_target(
    named: Mapping[str, NDArray[np.float64]], hateful: NDArray[np.bool_], targets: Sequence[str]
) -> dict[str, Any]:
    """The same figures for the cases about each group; one that has only hateful or only harmless cases is left out."""
    found: dict[str, Any] = {}
    for target in sorted(set(targets) - {""}):
        mine = np.array([each == target for each in targets])
        if len(set(hateful[mine].tolist())) > 1:
            found[target] = {name: auc_with_interval(scores[mine], hateful[mine]) for name, scores in named.items()}
    return found


def picture(text: str, rng: random.Random) -> Image.Image:
    """The text in light letters of a random size on a soft, dark ground."""
    size = rng.randint(14, 40)
    lines = textwrap.wrap(text, max(10, 600 // (size // 2))) or [""]
    font = ImageFont.load_default(size)
    wide = int(max(font.getlength(line) for line in lines)) + 2 * _MARGIN
    colours = [tuple(rng.randrange(110) for _ in range(3)) for _ in range(16)]
    ground = Image.new("RGB", (4, 4))
    ground.putdata(colours)
    image = ground.resize((wide, int(1.5 * size * len(lines)) + 2 * _MARGIN), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + int(1.5 * size * number)), line, fill="white", font=font)
    return image


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    middle = (len(words) + 1) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


def _hate(detector: ImageDetector, captions: Sequence[str], pictures: Sequence[Image.Image]) -> NDArray[np.float64]:
    items = Items(captions, ["en"] * len(captions), [(_attached(each),) for each in pictures])
    hate = detector.score(items, lambda _: None).probability[:, detector.categories.index(Category.HATE)]
    return np.nan_to_num(hate.astype(np.float64))


def _attached(image: Image.Image) -> Attachment:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Attachment(Role.IMAGE, "data:image/png;base64," + base64.b64encode(file.getvalue()).decode())


if __name__ == "__main__":
    main()

"""What comes with Safestream says what it is worth: data, figures, subgroups, weaknesses; and it is small."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detectors.loading.model_directory import CARD, SHIPPED, read_json
from detectors.loading.model_inventory import AnyCard

CARDS = [pytest.param(path, id=path.parent.name) for path in sorted(SHIPPED.glob(f"*/{CARD}"))]
LARGEST = 4 << 20  # bytes of a file: a clone brings them all


def below(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Everything within a JSON value, with the keys that lead to it."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from below(child, (*path, str(key)))


@pytest.mark.parametrize("path", CARDS)
def test_a_card_names_its_data_its_figures_with_intervals_subgroups_and_weaknesses(path: Path):
    card = read_json(AnyCard, path)
    assert not card.draft
    assert card.licence
    data = card.training["data"]
    assert data
    for each in data:
        assert each["name"]
        assert each["origin"]
        assert each["licence"]
        assert each["files"]
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in each["files"].values())
    figures = [value for _, value in below(card.evaluation) if isinstance(value, dict) and "interval" in value]
    assert figures
    for figure in figures:
        low, high = figure["interval"]
        assert low <= figure["value"] <= high
    subgroups = [value for keys, value in below(card.evaluation) if keys and "by_" in keys[-1]]
    assert any(len(groups) > 1 for groups in subgroups)
    assert card.limits
    assert all(card.limits)


@pytest.mark.parametrize("folder", [path.parent for path in SHIPPED.glob(f"*/{CARD}")], ids=lambda path: path.name)
def test_what_ships_is_small_and_says_nothing_of_where_it_was_made(folder: Path):
    files = list(folder.iterdir())
    assert all(file.stat().st_size < LARGEST for file in files)
    said = "".join(file.read_text() for file in files if file.suffix == ".json")
    assert json.loads((folder / CARD).read_text())
    assert not any(place in said for place in ("/home", "/work", "/tmp", "/root", "\\\\"))

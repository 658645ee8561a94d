"""`safestream models list` and `verify`: what there is, and every fault on a line of its own."""

import hashlib
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.loading.model_directory import CARD, CONFIG, SHIPPED, WEIGHTS, open_directory
from detectors.text.detector import DEFAULT_MODEL
from safestream.cli import run

TEXT_MODEL = DEFAULT_MODEL
SHIPPED_MODELS = [card.parent for card in SHIPPED.glob(f"*/{CARD}")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A user's cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "safestream" / "models"


@pytest.fixture
def folder(tmp_path: Path):
    return shutil.copytree(TEXT_MODEL, tmp_path / "model")


def edited(path: Path, change: Callable[[dict[str, Any]], object]):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def added(folder: Path, name: str, content: bytes):
    """A file that the card names with its digest, as a forger could do it."""
    (folder / name).write_bytes(content)
    edited(folder / CARD, lambda card: card["files"].update({name: hashlib.sha256(content).hexdigest()}))


def lines_of_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert run(["models", "verify", str(folder)]) == 1
    return capsys.readouterr().out.splitlines()


def test_what_ships_and_what_was_fetched_is_listed(cache: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(TEXT_MODEL, cache / "mine")
    assert run(["models", "list"]) == 0
    said = capsys.readouterr().out
    assert all(str(folder) in said for folder in [*SHIPPED_MODELS, cache / "mine"])
    assert run(["models", "list", "mine"]) == 0
    said = capsys.readouterr().out
    model = open_directory(TEXT_MODEL)
    card, categories = model.card, ", ".join(model.config.categories)
    assert all(each in said for each in (card.name, categories, ", ".join(card.languages), card.licence))
    assert f"{model.config.base.base().name}, installed" in said


def test_missing_base_weights_come_with_the_command_that_brings_them(folder: Path, capsys: pytest.CaptureFixture[str]):
    edited(folder / CONFIG, lambda config: config["base"].update(module="no_such_module"))
    added(folder, CONFIG, (folder / CONFIG).read_bytes())
    command = f"pip install {open_directory(folder).config.base.base().name}"
    assert run(["models", "list", str(folder)]) == 0
    assert command in capsys.readouterr().out
    assert command in lines_of_verify(folder, capsys)[0]


def test_what_ships_is_whole(capsys: pytest.CaptureFixture[str]):
    assert run(["models", "verify"]) == 0
    assert capsys.readouterr().out.count(": fine, version ") == len(SHIPPED_MODELS)


def test_an_unknown_name_is_a_mistake(capsys: pytest.CaptureFixture[str]):
    assert run(["models", "verify", "no-such-model"]) == 2
    assert TEXT_MODEL.name in capsys.readouterr().err


def test_every_fault_is_a_line_with_its_file_and_place(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "notes.md").write_text("not named in the card")
    (folder / "more").mkdir()
    os.mkfifo(folder / "pipe.txt")
    (folder / "link.txt").symlink_to("nowhere")
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    edited(folder / CARD, lambda card: card["files"].update({"vocab.txt": "0" * 64}))
    said = lines_of_verify(folder, capsys)
    assert len(said) == 6
    assert f"{folder}/pipe.txt: no ordinary file, or a link to nothing" in said
    assert f"{folder}/link.txt: no ordinary file, or a link to nothing" in said
    assert f"{folder}/vocab.txt: named in card.json, and missing" in said
    assert f"{folder}/model.safetensors was changed: its digest is not the one in card.json" in said
    assert f"{folder}/more: a folder, and a model directory has none" in said
    digest = hashlib.sha256(b"not named in the card").hexdigest()
    assert any(line.endswith(f'add "notes.md": "{digest}"') for line in said)


def test_every_mistake_in_a_card_has_its_place(folder: Path, capsys: pytest.CaptureFixture[str]):
    def spoil(card: dict[str, Any]):
        card["calibration"]["hate"]["slope"] = -1
        card["thresholds"]["profanity"]["threshold"] = 1.5
        card["licens"] = card.pop("licence")
        card["files"]["../../etc/passwd"] = "0" * 64

    edited(folder / CARD, spoil)
    said = "\n".join(lines_of_verify(folder, capsys))
    for place in ("calibration.hate.slope", "thresholds.profanity.threshold", "licens:", "licence:", "files."):
        assert f"{CARD}: {place}" in said


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "a.pkl", "a.ckpt", "a.joblib", "A.PKL"])
def test_pickles_are_refused_by_name(folder: Path, name: str, capsys: pytest.CaptureFixture[str]):
    added(folder, name, b"anything")
    assert lines_of_verify(folder, capsys) == [
        f"{folder}/{name}: a pickle, and reading a pickle can run code; only safetensors are loaded"
    ]


@pytest.mark.parametrize(
    "name", ["vocab.json", "vocab.txt", "tokenizer.model", "README.md", "LICENSE", "more.safetensors"]
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_of_another_name_is_found_out(
    folder: Path, name: str, protocol: int, capsys: pytest.CaptureFixture[str]
):
    added(folder, name, pickle.dumps(Harmful(), protocol))
    said = lines_of_verify(folder, capsys)
    assert len(said) == 1
    assert said[0].startswith(f"{folder}/{name}: a pickle")


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("name", ["vocab.json", "more.safetensors"])
def test_an_old_pickle_is_not_what_its_name_says(
    folder: Path, name: str, protocol: int, capsys: pytest.CaptureFixture[str]
):
    added(folder, name, pickle.dumps(Harmful(), protocol))
    assert "not readable" in lines_of_verify(folder, capsys)[0]


def test_an_archive_of_torch_save_is_found_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / WEIGHTS).unlink()
    with zipfile.ZipFile(folder / WEIGHTS, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Harmful()))
    added(folder, WEIGHTS, (folder / WEIGHTS).read_bytes())
    assert "model.safetensors: a zip archive, as torch.save writes one" in lines_of_verify(folder, capsys)[0]


@pytest.mark.parametrize("name", ["modeling_mine.py", "libmine.so", "setup.sh"])
def test_code_is_refused_by_name(folder: Path, name: str, capsys: pytest.CaptureFixture[str]):
    added(folder, name, b"print('this must never be printed')")
    assert lines_of_verify(folder, capsys) == [f"{folder}/{name}: code, and a model directory holds none: none is run"]


def test_an_adapter_that_transformers_would_merge_unasked_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    added(folder, "adapter_config.json", b'{"base_model_name_or_path": "elsewhere"}')
    assert lines_of_verify(folder, capsys)[0].startswith(f"{folder}/adapter_config.json: an adapter of peft's")


def test_hidden_files_and_folders_are_not_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / ".gitattributes").write_text("")
    (folder / ".git").mkdir()
    (folder / ".git" / "hook.py").write_text("print('this must never be printed')")
    assert run(["models", "verify", str(folder)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["mine.Tokenizer", None]}}, "auto_map points to code"),
        ("generation_config.json", {"text_config": {"auto_map": {"AutoModel": "x--y.Z"}}}, "auto_map points to code"),
        ("model_index.json", {"trust_remote_code": True}, "trust_remote_code asks for code"),
        ("model_index.json", {"custom_pipelines": {"a": {"impl": "b.C"}}}, "custom_pipelines points to code"),
    ],
)
def test_configurations_that_point_to_code_are_refused(
    folder: Path, name: str, content: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
):
    added(folder, name, json.dumps(content).encode())
    assert lines_of_verify(folder, capsys)[0].startswith(f"{folder}/{name}: {reason}")


def test_a_vocabulary_may_have_such_words(folder: Path, capsys: pytest.CaptureFixture[str]):
    added(folder, "vocab.json", json.dumps({"auto_map": 7, "trust_remote_code": 8}).encode())
    assert run(["models", "verify", str(folder)]) == 0, capsys.readouterr().out


def test_a_safetensors_header_that_does_not_fill_the_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]):
    added(folder, WEIGHTS, (folder / WEIGHTS).read_bytes()[:-2])
    assert "model.safetensors: not readable" in lines_of_verify(folder, capsys)[0]


def test_a_header_length_that_looks_like_a_pickle_s_mark_is_none(folder: Path, capsys: pytest.CaptureFixture[str]):
    header = b"{}".ljust(0x0280)
    added(folder, "more.safetensors", len(header).to_bytes(8, "little") + header)
    assert run(["models", "verify", str(folder)]) == 0, capsys.readouterr().out


def test_a_detector_does_not_start_on_a_changed_byte(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    config, events = tmp_path / "safestream.yaml", tmp_path / "events.jsonl"
    settings = {"detectors": {"text": {"model": str(folder)}}, "detector_process": {"start_seconds": 250}}
    config.write_text(json.dumps(settings))
    events.write_text("")
    assert run(["score", "text", str(events), "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert (
        error == f"safestream: detectors.text: {folder}/{WEIGHTS} was changed: its digest is not the one in card.json\n"
    )

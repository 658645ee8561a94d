"""`safestream score`: lines of events in, lines of scores out."""

import json
from pathlib import Path

import pytest

from safestream.cli import run


def event(number: int, text: str) -> str:
    return json.dumps({"event_id": f"e{number}", "account_id": "a", "created_at": 0, "text": text})


def test_each_event_gets_a_line_and_an_empty_text_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join([event(1, "you stupid bitch"), "", event(2, ""), event(3, "a fine day")]))
    assert run(["score", "text", str(file)]) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert [first["event_id"], second["event_id"], third["event_id"]] == ["e1", "e2", "e3"]
    assert set(first) == {"event_id", "detector", "model_version", "status", "scores"}
    assert (first["detector"], first["status"], second["status"]) == ("text", "scored", "skipped")
    assert second["scores"] == {}
    assert first["scores"]["harassment"] > third["scores"]["harassment"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "text", "nowhere.jsonl"], "nowhere.jsonl: can't be read"),
        (["score", "smell", "-"], "no detector is called 'smell'"),
        (["score", "text", "-", "--topic", "content.nothing"], "content.nothing"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_bad_line_is_named_by_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "events.jsonl"
    file.write_text(event(1, "fine") + "\n{")
    assert run(["score", "text", str(file)]) == 2
    assert "events.jsonl:2: not JSON" in capsys.readouterr().err


def test_training_without_data_says_where_to_name_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["train", "text", "--data", str(tmp_path), "--out", str(tmp_path / "m")]) == 2
    assert "labeled_data.csv is missing" in capsys.readouterr().err

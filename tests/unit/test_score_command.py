"""`safestream score`: lines of events in, lines of scores out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safestream.cli import run

ROOT = Path(__file__).parents[2]


def event(number: int, text: str) -> str:
    return json.dumps({"event_id": f"e{number}", "account_id": "a", "created_at": 0, "text": text})


def tripwire(tmp_path: Path) -> list[str]:
    """The options of a command that has the tripwire configured."""
    config = tmp_path / "safestream.yaml"
    config.write_text(
        "detectors: {tripwire: {factory: 'tests.fault.tripwire:build', modalities: [text, image]}}\n"
        "detector_process: {deadline_ms: 1000}\n"
    )
    return ["tripwire", "--config", str(config)]


def test_each_event_gets_a_line_and_an_empty_text_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join([event(1, "you stupid bitch"), "", event(2, ""), event(3, "a fine day")]))
    assert run(["score", "lexicon", str(file)]) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert [first["event_id"], second["event_id"], third["event_id"]] == ["e1", "e2", "e3"]
    assert set(first) == {"event_id", "detector", "model_version", "status", "scores"}
    assert (first["detector"], first["status"], second["status"]) == ("lexicon", "scored", "skipped")
    assert second["scores"] == {}
    assert first["scores"]["harassment"] > third["scores"]["harassment"]


def test_reasons_evidence_and_attachments_are_there_and_a_crash_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "events.jsonl"
    picture = json.loads(event(5, "")) | {"media": [{"image": "data:,SAY:evidence"}]}
    said = ("SAY:language", "fine", "TRIP:segv", "TRIP:nan")
    file.write_text("\n".join([*(event(n, text) for n, text in enumerate(said)), json.dumps(picture)]))
    assert run(["score", *tripwire(tmp_path), str(file)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event_id"], line["status"], line.get("reason")) for line in lines] == [
        ("e0", "abstained", "language"),
        ("e1", "scored", None),
        ("e2", "error", "crashed"),
        ("e3", "error", "not_a_number"),
        ("e5", "scored", None),
    ]
    assert lines[4]["evidence"] == [
        {"category": "harassment", "score": 0.75, "attachment": 1, "frame": 3, "box": [1, 2, 30, 40]}
    ]
    assert "evidence" not in lines[1]


def test_a_pipe_is_answered_line_by_line_while_it_stays_open():
    command = [sys.executable, "-m", "safestream", "score", "lexicon", "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(event(number, "what a day").encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["event_id"] == f"e{number}"
        process.stdin.write(b"".join(event(n, "and a night").encode() + b"\n" for n in range(1000)))
        process.stdin.write(event(1000, "the last line has no end").encode())
        process.stdin.close()
        assert [json.loads(line)["event_id"] for line in process.stdout] == [f"e{n}" for n in range(1001)]
    assert process.returncode == 0


def test_paths_in_options_begin_in_the_files_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Wherever the command is started: the same file says the same."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "words.txt").write_text("profanity 0.9 frak\n")
    config = tmp_path / "here" / "safestream.yaml"
    config.write_text("detectors: {mine: {factory: 'detectors.lexicon:build', words: words.txt}}")
    (tmp_path / "events.jsonl").write_text(event(1, "frak"))
    for folder in (tmp_path, tmp_path / "here"):
        monkeypatch.chdir(folder)
        assert run(["score", "mine", str(tmp_path / "events.jsonl"), "--config", os.path.relpath(config)]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["detector"], said["scores"]["profanity"]) == ("mine", 0.9)


def score_by_shell(tmp_path: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """A line of shell in which `$SCORE` is `safestream score lexicon`, in a folder with `events.jsonl`."""
    (tmp_path / "events.jsonl").write_text("\n".join(event(n, "a day") for n in range(5000)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCORE": f"{sys.executable} -m safestream score lexicon"}
    return subprocess.run(["bash", "-c", line], capture_output=True, env=environment, cwd=tmp_path, check=False)


def test_a_reader_who_has_seen_enough_is_no_mistake(tmp_path: Path):
    """Neither is the file then unreadable."""
    done = score_by_shell(tmp_path, "$SCORE events.jsonl | head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)
    assert b"safestream:" not in done.stderr


def test_standard_input_that_is_closed_is_one_line(tmp_path: Path):
    done = score_by_shell(tmp_path, "$SCORE - <&-")
    assert (done.returncode, done.stderr) == (2, b"safestream: standard input: can't be read: it is closed\n")


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path):
    """It would be held in memory: what is longer than any event can be is a mistake, with its number."""
    config = "worker: {max_event_bytes: 100000}"
    endless = f"{{ head -1 events.jsonl; yes x | tr -d '\\n'; }} | $SCORE - --config <(echo '{config}')"
    done = score_by_shell(tmp_path, endless)
    assert done.returncode == 2
    assert b"standard input:2: longer than any event" in done.stderr
    assert json.loads(done.stdout)["event_id"] == "e0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "lexicon", "nowhere.jsonl"], "nowhere.jsonl: can't be read"),
        (["score", "lexicon", "/proc/self/mem"], "/proc/self/mem: can't be read"),
        (["score", "smell", "-"], "no detector is called 'smell'"),
        (["score", "lexicon", "-", "--topic", "content.nothing"], "content.nothing"),
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
    file.write_text("\n".join([event(1, "fine"), "{", event(3, "fine")]))
    assert run(["score", "lexicon", str(file)]) == 2
    captured = capsys.readouterr()
    assert "events.jsonl:2: not JSON" in captured.err
    assert [json.loads(line)["event_id"] for line in captured.out.splitlines()] == ["e1"]


def test_training_without_data_says_where_to_name_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["train", "text", "--data", str(tmp_path), "--out", str(tmp_path / "m")]) == 2
    assert "labeled_data.csv is missing" in capsys.readouterr().err

"""A new content type is a schema and a topic in the configuration, no code: from scaffold to decision."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline import no_topics_of_ours

from safestream.cli import run
from stream.local_broker import Broker

pytestmark = pytest.mark.integration
TOPIC = "content.playlist-title"
TITLES = ["songs for a rainy day", "this playlist is fucking great", "focus"]


def lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def rename_text_to_title(draft: Path) -> None:
    """What a platform team does with the scaffold: its own names, the role says what a detector reads."""
    raw = json.loads(draft.read_text())
    text = next(field for field in raw["fields"] if field["name"] == "text")
    text |= {"name": "title", "type": "string", "doc": "The playlist's title, as shown."}
    del text["default"]
    draft.write_text(json.dumps(raw, indent=2))


def decisions_of_a_worker(config: Path, count: int, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a real worker, started as a user would, decides until there are `count` decisions."""
    command = [sys.executable, "-m", "safestream", "worker", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as worker:
        try:
            deadline, found = time.monotonic() + 90, list[dict[str, Any]]()
            while len(found) < count and time.monotonic() < deadline and worker.poll() is None:
                time.sleep(0.5)
                tail = ["tail", "moderation.decisions", "--from-beginning", "--until-end", "--config", str(config)]
                found = lines(tail, capsys)
        finally:
            worker.terminate()
            said = worker.communicate(timeout=30)[1]
    assert len(found) == count, said
    return found


def test_from_scaffold_to_decision(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step is a command or an edit that the documentation names; the title is scored by the word list."""
    mine, config, events = tmp_path / "mine", tmp_path / "safestream.yaml", tmp_path / "titles.jsonl"
    assert run(["schemas", "scaffold", "playlist-title", "--folder", str(mine)]) == 0
    said = capsys.readouterr().out
    rename_text_to_title(mine / "avro" / f"{TOPIC}.avsc")
    assert run(["schemas", "check", "--folder", str(mine)]) == 0
    assert run(["schemas", "register", "--folder", str(mine)]) == 0

    settings = yaml.safe_load(said[said.index("schema_registry:") :])  # as scaffold printed it
    assert settings["topics"]["content"][-1] == TOPIC
    settings |= {"kafka": {"bootstrap_servers": broker.bootstrap}, "detectors": {"lexicon": {}}}
    config.write_text(yaml.safe_dump(settings))
    with no_topics_of_ours(broker):
        assert run(["topics", "create", "--config", str(config)]) == 0
        events.write_text(
            "".join(
                json.dumps({"event_id": f"p{number}", "account_id": f"a{number}", "created_at": 0, "title": title})
                + "\n"
                for number, title in enumerate(TITLES)
            )
        )
        assert run(["produce", TOPIC, str(events), "--config", str(config)]) == 0
        decisions = decisions_of_a_worker(config, len(TITLES), capsys)
    actions = {decision["event_id"]: decision["action"] for decision in decisions}
    assert actions == {"p0": "allow", "p1": "label", "p2": "allow"}
    assert {decision["content_type"] for decision in decisions} == {"playlist-title"}
    assert {decision["source_topic"] for decision in decisions} == {TOPIC}

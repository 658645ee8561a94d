"""A worker that skips an offset in silence writes chains that hold; only the census shows it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from safestream import cli
from schemas import topics
from tests.pipeline import PARTITIONS, Pipeline, comments

pytestmark = pytest.mark.integration

SKIPPED = 7


def test_a_worker_that_skips_an_offset_is_caught(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each partition the offset without a leaf is named, though every chain holds."""
    pipeline.produce(comments(200))
    config, census = str(pipeline.config()), str(tmp_path / "census.json")
    command = [sys.executable, str(Path(__file__).with_name("skipping_worker.py")), str(SKIPPED), "worker"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen([*command, "--config", config], stdout=log, stderr=log)
    try:
        pipeline.wait_drained()
    finally:
        worker.terminate()
        worker.wait(30)
    assert cli.run(["audit", "verify", "--config", config]) == 0
    assert "by the worker's word only" in capsys.readouterr().out
    key = ["--new-key", str(tmp_path / "key")]
    assert cli.run(["audit", "census", "--config", config, "--out", census, *key]) == 0
    capsys.readouterr()
    assert cli.run(["audit", "verify", "--config", config, "--census", census, "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["faults"] == 0
    rows = [row for row in outcome["completeness"]["partitions"] if row["topic"] == topics.COMMENTS]
    assert [(row["partition"], row["missing"]) for row in rows] == [
        (partition, [[SKIPPED, SKIPPED]]) for partition in range(PARTITIONS)
    ]

"""The page on adding a detector, done as it says: a package of its own, in a real worker, without a fork."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import topics
from tests.fault.avro import decode
from tests.pipeline import Pipeline, comments

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-a-detector.md"
PACK = {
    "name": "quiet-please",
    "thresholds": {"loud": {"detector": "shouting", "value": 0.8}},
    "rules": [{"id": "loud", "category": "harassment", "threshold": "loud", "action": "label", "reason": "Shouted."}],
    "on_missing": {"shouting": {"error": "hold", "abstained": "hold"}},
    "hold": {"deadline_hours": 24},
}


def blocks() -> dict[str, str]:
    """The files of the page: each begins with a comment that is its name."""
    found = re.findall(r"```(?:toml|python|yaml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the page's package in it, built by its build backend."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("pyproject.toml", "shouting.py"):
        (source / name).write_text(blocks()[name])
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source / "dist")], cwd=source)
    (wheel,) = (source / "dist").iterdir()
    zipfile.ZipFile(wheel).extractall(site)
    return site


def run(command: list[str], **how: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}


def test_it_takes_under_forty_lines_of_code():
    code = [line for name in ("pyproject.toml", "shouting.py") for line in blocks()[name].splitlines() if line.strip()]
    assert len(code) < 40


def test_the_command_of_the_page_scores_with_it(site: Path):
    (command,) = re.findall(r"```\n(echo .*?)```", PAGE.read_text(), re.DOTALL)
    command = command.replace("safestream", f"{sys.executable} -m safestream")
    said = run(["sh", "-c", command], env=environment(site))
    assert '"detector": "shouting", "model_version": "1.0", "status": "scored", "scores": {"harassment": 1.0}' in said


def test_it_passes_the_suite(site: Path, tmp_path: Path):
    (tmp_path / "test_shouting.py").write_text(blocks()["test_shouting.py"])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    assert "11 passed" in run(command, env=environment(site), cwd=tmp_path)


@pytest.mark.integration
def test_a_real_worker_decides_by_it(site: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", environment(site)["PYTHONPATH"])
    settings = yaml.safe_load(blocks()["safestream.yaml"])
    pack = pipeline.folder / settings["policy"]["pack"]
    pack.mkdir()
    (pack / "pack.yaml").write_text(yaml.safe_dump(PACK))
    only = {"detectors": {"shouting": settings["detectors"]["shouting"]}, "policy": {"pack": str(pack)}}
    said = {"event-0": "WHO ATE MY SANDWICH?", "event-1": "who ate it?", "event-2": "SHORT"}
    pipeline.produce(row | {"text": said[row["event_id"]]} for row in comments(3))
    pipeline.run_until_drained(**only)
    found = [decode(message.value(), "decision") for message in pipeline.read(topics.DECISIONS)]
    assert {d["event_id"]: d["action"] for d in found} == {"event-0": "label", "event-1": "allow", "event-2": "allow"}
    assert [(d["rule"], d["score"]) for d in found if d["action"] == "label"] == [("loud", 1.0)]

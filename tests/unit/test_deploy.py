"""What is deployed speaks of things that exist: metrics, settings, files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from safestream.configuration import load
from schemas.json_lines import LineReader
from schemas.metric_names import Metric
from schemas.registry import open_registry
from schemas.topics import CONTENT

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy/grafana/dashboards/safestream.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    alerts = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return [target["expr"] for panel in panels for target in panel["targets"]] + [alert["expr"] for alert in alerts]


def samples() -> dict[str, set[str]]:
    """Every time series that a worker exposes, and its labels."""
    known = {}
    for metric in Metric:
        labels = set(metric.labels)
        endings = {"histogram": ("_bucket", "_sum", "_count")}.get(metric.kind, ("",))
        known |= {metric + ending: labels | ({"le"} if ending == "_bucket" else set()) for ending in endings}
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return known | {sample.name: set() for family in registry.collect() for sample in family.samples}


@pytest.mark.parametrize("expression", expressions())
def test_dashboard_and_alerts_ask_for_metrics_that_exist(expression: str) -> None:
    """By name, and grouped by labels that they have."""
    names = re.findall(r"\b(?:safestream|process)_\w+", expression)
    assert names
    assert set(names) <= set(samples())
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        for name in names:
            assert {label.strip() for label in labels.split(",")} <= samples()[name]


def test_every_metric_is_on_the_dashboard() -> None:
    """A metric that nobody looks at isn't worth its time series."""
    shown = " ".join(expressions())
    assert [metric for metric in Metric if metric not in shown] == []


def test_compose_sets_only_settings_that_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every SAFESTREAM_ variable of every service is accepted."""
    monkeypatch.chdir(tmp_path)
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if name.startswith("SAFESTREAM_"):
                monkeypatch.setenv(name, re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", value))
    configuration = load()
    assert configuration.kafka.bootstrap_servers == "kafka:19092"
    assert configuration.schema_registry.url == "http://schema-registry:8081"
    assert configuration.worker.health_port == 9100


def test_files_that_compose_mounts_are_there() -> None:
    """And ports are open on this machine only."""
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("topic", CONTENT)
def test_sample_traffic_is_made_of_events(topic: str) -> None:
    """Each line reads by the topic's schema."""
    command = [sys.executable, ROOT / "deploy/traffic/sample_events.py", topic, "10000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(50)]
        process.kill()
    reader = LineReader(open_registry().latest(topic))
    for line in lines:
        reader.read(line)


def test_the_image_runs_without_root() -> None:
    """The last word on the user isn't root's, and no image is fetched to build ours but its base."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE)[-1] == "safestream"
    assert "# syntax" not in dockerfile

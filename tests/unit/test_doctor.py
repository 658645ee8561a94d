"""`safestream doctor` on machines where something is missing, made by a PATH that holds only what we put there."""

from pathlib import Path

import pytest

from safestream import doctor_checks
from safestream.cli import run
from safestream.doctor_checks import Check
from stream.local_broker.install_hints import how_to_get


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is the whole PATH of a machine without Docker, Java, Maven and cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("JAVA_HOME", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    return programs


def install(folder: Path, name: str, says: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    program.chmod(0o755)


def checks() -> dict[str, Check]:
    return {check.name: check for check in doctor_checks.run_checks()}


def test_without_java_and_docker_java_and_maven_are_missing_and_the_exit_code_is_1(
    bare: Path, capsys: pytest.CaptureFixture[str]
):
    install(bare, "apt-get")
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "sudo apt-get install -y openjdk-17-jre-headless" in out
    assert "missing: Java 17+, Maven" in out


def test_java_and_maven_are_enough(bare: Path):
    install(bare, "java", 'openjdk version "21.0.2"')
    install(bare, "mvn")
    found = checks()
    assert found["Java 17+"].ok
    assert found["Maven"].ok
    assert not found["Docker"].needed


def test_an_old_java_does_not_do(bare: Path):
    install(bare, "java", 'openjdk version "1.8.0_392"')
    install(bare, "mvn")
    java = checks()["Java 17+"]
    assert (java.ok, java.needed) == (False, True)
    assert java.found.startswith("8 ")


def test_a_named_cluster_that_does_not_answer_is_what_is_missing(bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    found = checks()
    assert (found["Kafka cluster"].ok, found["Kafka cluster"].needed) == (False, True)
    assert not found["Java 17+"].needed


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "sudo apt-get install -y maven"),
        ("dnf", "sudo dnf install -y maven"),
        ("brew", "brew install maven"),
        (None, "https://maven.apache.org/download.cgi"),
    ],
)
def test_the_command_is_this_platforms(bare: Path, manager: str | None, command: str):
    if manager:
        install(bare, manager)
    assert command in how_to_get("maven")


def test_what_is_not_ok_has_a_remedy(bare: Path):
    assert all(check.remedy for check in doctor_checks.run_checks() if not check.ok)

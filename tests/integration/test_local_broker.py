"""The broker that everything else is tested on."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer

from schemas.errors import UserMistake
from stream.local_broker import Broker, LocalBroker, development_broker
from stream.local_broker.jars import DIGEST, digest, fetch_jars, jars_folder
from stream.local_broker.readiness import answers

pytestmark = pytest.mark.integration


def produce_in_transaction(bootstrap: str, topic: str, name: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, value=str(number).encode())
    producer.commit_transaction(30)


def read(bootstrap: str, topic: str, group: str, count: int) -> list[bytes]:
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings | {"isolation.level": "read_committed"})
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in consumer.consume(count, 1.0) if not message.error()]
    consumer.close()
    return values


def test_a_transaction_goes_through(broker: Broker, new_topics: Callable[..., list[str]], unique: Callable[[str], str]):
    (topic,) = new_topics("events")
    produce_in_transaction(broker.bootstrap, topic, unique("producer"), 10)
    assert len(read(broker.bootstrap, topic, unique("group"), 10)) == 10


def test_data_survive_a_kill(mortal_broker: Broker, new_topics: Callable[..., list[str]], unique: Callable[[str], str]):
    (topic,) = new_topics("events")
    bootstrap = mortal_broker.bootstrap
    produce_in_transaction(bootstrap, topic, unique("producer"), 10)
    mortal_broker.kill()
    assert not answers(bootstrap, 1)
    mortal_broker.start()
    assert mortal_broker.bootstrap == bootstrap
    assert len(read(bootstrap, topic, unique("group"), 10)) == 10


def test_a_taken_port_is_the_users_mistake(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserMistake, match="taken"):
        LocalBroker(tmp_path, server.getsockname()[1]).start()


def test_a_named_cluster_that_does_not_answer_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(UserMistake, match="no Kafka answers at 127"), development_broker():
        pass


HOLDS_A_BROKER = """
import signal, sys, time
from stream.local_broker import own_broker
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
with own_broker() as broker:
    print(broker.port, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_its_process_dies(by: signal.Signals):
    child = subprocess.Popen([sys.executable, "-c", HOLDS_A_BROKER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    bootstrap = f"127.0.0.1:{int(child.stdout.readline())}"
    assert answers(bootstrap)
    child.send_signal(by)
    child.wait(30)
    child.stdout.close()
    deadline = time.monotonic() + 30
    while answers(bootstrap, 1) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(bootstrap, 1)


def test_the_cached_jars_are_the_ones_we_know():
    assert digest(fetch_jars(print)) == DIGEST


def test_without_java_the_message_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UserMistake, match="no Java here"):
        LocalBroker(tmp_path).start()


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UserMistake, match="is Java 8"):
        LocalBroker(tmp_path / "data").start()


def test_without_maven_the_message_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    only_java = tmp_path / "bin"
    only_java.mkdir()
    (only_java / "java").write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\"' >&2\n")
    (only_java / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(only_java))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UserMistake, match="no Maven here"):
        fetch_jars(print)
    assert not jars_folder().exists()


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_an_interrupt_while_it_starts_leaves_nothing(tmp_path: Path, seconds: float):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    program = "from stream.local_broker import LocalBroker; LocalBroker().start()"
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, env=environment)
    time.sleep(seconds)
    child.send_signal(signal.SIGINT)
    child.wait(30)
    deadline = time.monotonic() + 10
    while list(tmp_path.glob("safestream-broker-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(tmp_path.glob("safestream-broker-*"))
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]

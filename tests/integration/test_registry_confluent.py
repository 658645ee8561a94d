"""Against a real schema registry: a topic moves to it in mid-stream, and only its own word condemns a record."""

import http.server
import io
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema as RemoteSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from evolutions import EVOLUTIONS, Evolution
from registry_server import RegistryServer

from safestream.cli import run
from schemas.confluent import ConfluentRegistry, Refused
from schemas.decode import Decoder
from schemas.errors import Poison, PoisonReason, Retriable
from schemas.folder import BUILT_IN, Folder
from schemas.registry import Registry, open_registry
from schemas.wire import frame, schema_id, subject_of
from stream.local_broker import Broker
from stream.local_broker.java import find_java

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_java() is None, reason="a real schema registry needs Java 17 here"),
]
COMMENTS = "content.comments"


@pytest.fixture(scope="module")
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


@pytest.fixture
def remote(server: RegistryServer) -> Iterator[ConfluentRegistry]:
    with closing(ConfluentRegistry(server.url, {})) as client:
        yield client


def event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "account_id": "a",
        "content_id": f"c{number}",
        "created_at": 1_763_800_000_000 + number,
        "text": f"comment {number}",
    }


def written(registry: Registry, topic: str, record: dict[str, Any]) -> bytes:
    schema = registry.latest(topic)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, record)
    return frame(schema.id) + out.getvalue()


def serializer(server: RegistryServer) -> Any:
    """What a platform team uses: Confluent's own, which registers nothing and takes the newest version."""
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    client = SchemaRegistryClient({"url": server.url})
    serialize = AvroSerializer(client, conf=settings)
    context = SerializationContext(COMMENTS, MessageField.VALUE)
    return client, lambda record: serialize(record, context)


def consumed(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    with closing(consumer):
        consumer.subscribe([topic])
        values: list[bytes] = []
        while len(values) < count:
            message = consumer.poll(20)
            assert message is not None
            assert message.error() is None
            values.append(message.value() or b"")
        return values


def test_a_topic_moves_from_the_folder_to_a_registry_in_mid_stream(
    broker: Broker, new_topics: Any, server: RegistryServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One decoder reads what was written before the move, after it, and by those who still write the old way."""
    (topic,) = new_topics("moving")
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    folder_only = open_registry()
    for number in range(20):
        producer.produce(topic, written(folder_only, COMMENTS, event(number)))

    assert run(["schemas", "register", COMMENTS, "--url", server.url]) == 0
    assert "content.comments: version 1, id 1000000 (released before), id" in capsys.readouterr().out
    client, serialize = serializer(server)
    for number in range(20, 40):
        producer.produce(topic, serialize(event(number)))
        producer.produce(topic, written(folder_only, COMMENTS, event(number + 100)))
    producer.flush(20)
    client.close()

    values = consumed(broker, topic, 60)
    with closing(open_registry(url=server.url)) as registry:
        decoder = Decoder(registry, subject_of=lambda _topic: subject_of(COMMENTS))
        decoded = [decoder.decode(COMMENTS, value) for value in values]
        assert registry.latest(COMMENTS).id == schema_id(values[20], 10_000) < 1_000_000
    assert [record["text"] for _, record in decoded[:20]] == [f"comment {number}" for number in range(20)]
    assert [record["event_id"] for _, record in decoded[20::2]] == [f"e{number}" for number in range(20, 40)]
    assert {schema.roles.text for schema, _ in decoded} == {(("text",), ("media", "alt_text"))}
    assert {schema.subject for schema, _ in decoded} == {"content.comments-value"}


def test_every_schema_of_ours_can_be_registered(server: RegistryServer) -> None:
    assert run(["schemas", "register", "--url", server.url]) == 0
    with closing(open_registry(url=server.url)) as registry:
        for topic in registry.topics():
            assert registry.latest(topic).raw == json.loads(Folder(BUILT_IN).drafts()[topic].read_text())


def test_an_id_that_the_registry_does_not_have_is_poison_and_not_asked_for_again(server: RegistryServer) -> None:
    with closing(open_registry(url=server.url)) as registry:
        decoder = Decoder(registry)
        for _ in range(3):
            with pytest.raises(Poison) as caught:
                decoder.decode(COMMENTS, frame(987_654) + b"\x00")
            assert caught.value.reason is PoisonReason.UNKNOWN_SCHEMA_ID


def test_a_schema_of_another_subject_is_poison(server: RegistryServer, remote: ConfluentRegistry) -> None:
    number = remote.register("elsewhere-value", json.dumps({"type": "record", "name": "X", "fields": []}))
    with closing(open_registry(url=server.url)) as registry:
        with pytest.raises(Poison, match="is of elsewhere-value") as caught:
            Decoder(registry).decode(COMMENTS, frame(number))
        assert caught.value.reason is PoisonReason.WRONG_SUBJECT


def test_a_schema_under_two_subjects_is_of_both(server: RegistryServer, remote: ConfluentRegistry) -> None:
    """A registry gives equal schemas one id, whatever topics they are for."""
    text = (BUILT_IN / "avro" / f"{COMMENTS}.avsc").read_text()
    numbers = {remote.register(f"content.{name}-value", text) for name in ("first", "second")}
    assert len(numbers) == 1
    with closing(open_registry(url=server.url)) as registry:
        for name in ("first", "second"):
            value = written(registry, f"content.{name}", event(1))
            assert Decoder(registry).decode(f"content.{name}", value)[0].subject == f"content.{name}-value"


def test_a_schema_that_is_not_avro_is_poison(server: RegistryServer) -> None:
    with closing(SchemaRegistryClient({"url": server.url})) as client:
        text = 'syntax = "proto3"; message Comment { string text = 1; }'
        number = client.register_schema("content.proto-value", RemoteSchema(text, "PROTOBUF"))
    with closing(open_registry(url=server.url)) as registry, pytest.raises(Poison) as caught:
        Decoder(registry).decode("content.proto", frame(number) + b"\x00")
    assert caught.value.reason is PoisonReason.WRONG_TYPE


def test_text_is_found_even_if_the_writers_tools_dropped_the_roles(
    server: RegistryServer, remote: ConfluentRegistry, tmp_path: Path
) -> None:
    """Roles are then those of the folder's newest version, field by field."""
    topic = f"content.bare-{uuid.uuid4().hex[:6]}"
    assert run(["schemas", "scaffold", topic, "--folder", str(tmp_path)]) == 0
    assert run(["schemas", "register", topic, "--folder", str(tmp_path)]) == 0
    raw = json.loads(Folder(tmp_path).drafts()[topic].read_text())
    for field in raw["fields"]:
        field.pop("role")
    remote.register(subject_of(topic), json.dumps(raw))
    with closing(open_registry(tmp_path, server.url)) as registry:
        schema, record = Decoder(registry).decode(topic, written(registry, topic, event(1)))
        assert schema.id < 1_000_000
        assert schema.roles.join_text(record) == "comment 1"


@pytest.mark.parametrize("evolution", [each for each in EVOLUTIONS if each.avro_only], ids=lambda each: each.name)
def test_a_real_registry_gives_the_verdict_of_our_gate(evolution: Evolution, remote: ConfluentRegistry) -> None:
    """FULL_TRANSITIVE there refuses exactly what `schemas check` refuses."""
    subject = f"verdict-{uuid.uuid4().hex[:12]}-value"
    remote.register(subject, json.dumps(evolution.old))
    if evolution.reads_old and evolution.is_read:
        remote.register(subject, json.dumps(evolution.new))
        return
    with pytest.raises(Refused):
        remote.register(subject, json.dumps(evolution.new))


def test_a_registry_that_is_gone_is_worth_another_try_and_knows_it_all_when_it_is_back() -> None:
    """Nothing is known about the bytes meanwhile: that is no dead letter."""
    with RegistryServer() as mortal, closing(open_registry(url=mortal.url)) as registry:
        assert run(["schemas", "register", COMMENTS, "--url", mortal.url]) == 0
        value = written(registry, COMMENTS, event(1))
        mortal.stop()
        decoder = Decoder(registry)
        with pytest.raises(Retriable):
            decoder.decode(COMMENTS, value)
        mortal.start()
        assert run(["schemas", "register", COMMENTS, "--url", mortal.url]) == 0
        assert decoder.decode(COMMENTS, value)[1]["text"] == "comment 1"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives the same answer to everything: a proxy in front of a registry, or the wrong address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>no such page</html>"),  # a proxy's, not the registry's
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}'),  # the registry's path is wrong
        (500, b'{"error_code": 50001, "message": "Error in the backend data store"}'),
        (503, b""),
        (200, b"<html>welcome</html>"),
        (200, b"{}"),
    ],
)
def test_an_answer_that_is_not_the_registrys_word_condemns_nothing(status: int, body: bytes) -> None:
    with answering(status, body) as url, closing(open_registry(url=url)) as registry, pytest.raises(Retriable):
        Decoder(registry).decode(COMMENTS, frame(5) + b"\x00")

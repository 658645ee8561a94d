"""The proxy, tried with plain transactional loops of confluent-kafka: what it sees, stops, holds, cuts and heals."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from stream.local_broker import Broker
from tests.fault.proxy import Api, Moment, Proxy, Trap
from tests.fault.reading import read

pytestmark = pytest.mark.integration

LOOP = """
import sys
from confluent_kafka import Consumer, Producer
bootstrap, source, target, name = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "session.timeout.ms": 6000, "isolation.level": "read_committed"})
consumer.subscribe([source])
producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "transaction.timeout.ms": 5000})
producer.init_transactions(60)
last = False
while not last:
    messages = [m for m in consumer.consume(10, 1.0) if not m.error()]
    if not messages:
        continue
    producer.begin_transaction()
    for message in messages:
        producer.produce(target, key=message.key(), value=message.value())
        last = last or message.value() == b"last"
    producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
    producer.commit_transaction(30)
"""  # forwards a topic exactly once, ten records a transaction, until it has forwarded "last"
RECORDS = [str(number).encode() for number in range(49)] + [b"last"]


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    """Before the session's broker."""
    host, port = broker.bootstrap.split(":")
    if host != "127.0.0.1":
        pytest.skip("the proxy forwards to this machine only")
    with Proxy(int(port)) as made:
        yield made


@pytest.fixture
def pipe(broker: Broker, new_topics: Callable[..., list[str]]) -> tuple[str, str]:
    """A source with 50 records and an empty target."""
    source, target = new_topics("source", "target")
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for value in RECORDS:
        producer.produce(source, value=value)
    assert producer.flush(30) == 0
    return source, target


def start(bootstrap: str, pipe: tuple[str, str], name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LOOP, bootstrap, *pipe, name])


def test_clients_stay_behind_the_proxy(proxy: Proxy, broker: Broker, new_topics: Callable[..., list[str]]):
    """Metadata names the proxy as the broker, so every request comes this way."""
    (topic,) = new_topics("seen")
    producer = Producer({"bootstrap.servers": proxy.bootstrap})
    assert {node.port for node in producer.list_topics(timeout=30).brokers.values()} == {proxy.port}
    producer.produce(topic, value=b"1")
    assert producer.flush(30) == 0
    assert proxy.seen["Produce"] == 1
    assert [message.value() for message in read(broker.bootstrap, topic)] == [b"1"]


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("api", [Api.Produce, Api.EndTxn])
def test_killed_exactly_there(
    proxy: Proxy, broker: Broker, pipe: tuple[str, str], unique: Callable[[str], str], api: Api, moment: Moment
):
    """A loop killed at its second request of a kind is stopped there, and its successor forwards the rest once."""
    name = unique("loop")
    processes: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        processes[0].kill()
        processes[0].wait()

    trap = proxy.arm(Trap(api, moment, 2, kill))
    processes.append(start(proxy.bootstrap, pipe, name))
    assert trap.sprung.wait(30)
    assert processes[0].returncode == -9
    assert proxy.seen[api.name] == 2
    assert start(proxy.bootstrap, pipe, name).wait(60) == 0
    assert [message.value() for message in read(broker.bootstrap, pipe[1])] == RECORDS


def test_cut_and_healed(proxy: Proxy, broker: Broker, pipe: tuple[str, str], unique: Callable[[str], str]):
    """While it is cut nobody gets through; healed, the clients come back by themselves."""
    producer = Producer({"bootstrap.servers": proxy.bootstrap, "enable.idempotence": True})
    assert producer.list_topics(timeout=30)
    proxy.cut()
    producer.produce(pipe[1], value=b"late")
    assert producer.flush(2) == 1
    with pytest.raises(KafkaException):
        Consumer({"bootstrap.servers": proxy.bootstrap, "group.id": unique("group")}).list_topics(timeout=2)
    proxy.heal()
    assert producer.flush(30) == 0
    assert [message.value() for message in read(broker.bootstrap, pipe[1])] == [b"late"]


def test_closing_leaves_no_thread(broker: Broker):
    """A closed proxy is gone."""
    proxy = Proxy(int(broker.bootstrap.split(":")[1]))
    Producer({"bootstrap.servers": proxy.bootstrap}).list_topics(timeout=30)
    proxy.close()
    for thread in threading.enumerate():
        if thread.name.startswith("proxy-"):
            thread.join(10)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("proxy-")]

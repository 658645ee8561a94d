"""What many tests share: one real broker a session, and names nobody else uses."""

import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream.local_broker import Broker, development_broker
from tests.pipeline import Pipeline


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running() -> Iterator[None]:
    """A session ends without a process of its own: what a test left behind is named, and killed."""
    yield
    left = [child for child in psutil.Process().children(recursive=True) if not is_pythons_own(child)]
    names = [" ".join(child.cmdline())[:200] or child.name() for child in left]
    for child in left:
        child.kill()
    assert not names, f"left running: {names}"


def is_pythons_own(child: psutil.Process) -> bool:
    """multiprocessing's resource tracker and fork server, which end when we do."""
    return child.status() == psutil.STATUS_ZOMBIE or "multiprocessing" in " ".join(child.cmdline())


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """A real Kafka, the same for the whole session. A test that kills it must start it again."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.stderr, flush=True)

    with development_broker(say) as started, pytest.MonkeyPatch.context() as environment:
        environment.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)  # a test's configuration file says where
        yield started


@pytest.fixture
def mortal_broker(broker: Broker) -> Iterator[Broker]:
    """The session's broker, for tests that kill it: running again after the test, whatever the test did."""
    if not broker.can_kill:
        pytest.skip("needs a broker that it may kill; KAFKA_BOOTSTRAP_SERVERS names somebody else's")
    yield broker
    broker.start()


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    """An admin client of the session's broker."""
    return AdminClient({"bootstrap.servers": broker.bootstrap})


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name (topic, group, transactional id) that no other test and no earlier session used."""
    suffix = uuid.uuid4().hex[:8]
    return lambda name: f"{name}.{suffix}"


@pytest.fixture
def new_topics(admin: AdminClient, unique: Callable[[str], str]) -> Iterator[Callable[..., list[str]]]:
    """`new_topics("comments", "audit", partitions=3)` makes them under fresh names, and removes them after the test."""
    made: list[str] = []

    def create(*names: str, partitions: int = 1, config: dict[str, str] | None = None) -> list[str]:
        topics = [NewTopic(unique(name), partitions, 1, config=config or {}) for name in names]
        wait_for(admin.create_topics(topics).values())
        made.extend(topic.topic for topic in topics)
        return [topic.topic for topic in topics]

    yield create
    if made:
        wait_for(admin.delete_topics(made).values())


def wait_for(futures: Sequence[object]) -> None:
    for future in list(futures):
        future.result(30)  # type: ignore[attr-defined]


@pytest.fixture
def pipeline(broker: Broker, tmp_path: Path, unique: Callable[[str], str]) -> Iterator[Pipeline]:
    """A pipeline of the test's own on the session's broker; its workers end with the test."""
    if not broker.can_kill and not Pipeline.made_here and Pipeline.exists(broker.bootstrap):
        pytest.skip("the broker of KAFKA_BOOTSTRAP_SERVERS holds our topics already, and these tests delete topics")
    made = Pipeline(broker.bootstrap, tmp_path, unique("group"))
    yield made
    made.close()

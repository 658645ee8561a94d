"""The states of accounts on a real broker: read once, kept on disk, waited for; a migration by changing the pack."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from enforcement.ledger.fold import join
from enforcement.ledger.settings import LedgerSettings
from schemas.topics import ACCOUNT_STATE, AUDIT, DECISIONS
from stream import topic_ids
from stream.account_states import AccountStates
from stream.account_store import AccountStore, Read
from stream.properties import reader_properties
from tests.fault.avro import decode
from tests.fault.cluster import wait_until
from tests.ledger_records import Record, estimate
from tests.pipeline import PARTITIONS, Pipeline, comments
from tests.unit.test_ledger_fold import folded, placed

pytestmark = pytest.mark.integration

NOW = time.time_ns() // 1_000_000
PACK = """
name: arena
thresholds: {}
rules:
  - id: under-16
    action: age_restrict
    reason: This surface is for people of 16 and over.
    when: {surface: [arena], author_age: {under: 16}}
hold: {deadline_hours: 1}
age:
  detector: %s
  gates: {16: 0.5}
"""
CANDIDATE = "  candidate: {detector: %s, gates: {16: 0.5}, share: %s, most_flips: %s}\n"


def state(*told: Record) -> bytes:
    return folded(placed(told), settings=LedgerSettings()) or b""


def known(old: float, new: float, told: int = 1) -> bytes:
    """What the ledger knows of an account after so many estimates by each of two models."""
    days = [estimate(NOW - day, old) for day in range(told)]
    return state(*days, *(estimate(NOW - day, new, detector="age-new") for day in range(told)))


def publish(pipeline: Pipeline, states: Iterable[tuple[str, bytes | None]]) -> None:
    pipeline.produce_raw((ACCOUNT_STATE, account.encode(), value, []) for account, value in states)


@contextmanager
def following(pipeline: Pipeline, folder: Path, deadline: float = 30) -> Iterator[AccountStates]:
    def topic_id() -> bytes:
        return topic_ids.ask(pipeline.admin, [ACCOUNT_STATE], PARTITIONS).of[ACCOUNT_STATE]

    store = AccountStore(folder, PARTITIONS, join)
    states = AccountStates(
        store, reader_properties(pipeline.bootstrap, {}), topic_id, PARTITIONS, deadline, everywhere=False
    )
    try:
        states.follow(range(PARTITIONS), range(PARTITIONS))
        yield states
    finally:
        states.close()


def ready(states: AccountStates) -> None:
    wait_until("the states are read", lambda: not states.waiting(), 20, 0.02)


def test_states_are_kept_over_a_restart_and_the_higher_marks_win(
    pipeline: Pipeline, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a frozen ledger writes too late changes nothing; a forgotten account is gone."""
    names = [f"account-{n}" for n in range(50)]
    publish(pipeline, ((name, known(30, 30)) for name in names))
    with following(pipeline, tmp_path / "states") as states:
        ready(states)
        values, caught_up = states.get([name.encode() for name in [*names, "nobody"]])
        assert values == [known(30, 30)] * 50 + [None]
        assert all(caught_up)
        publish(pipeline, [("account-1", known(12, 12, 3)), ("account-1", known(12, 30, 2)), ("account-2", None)])
        wait_until("the news is read", lambda: states.get([b"account-2"])[0] == [None], 20, 0.02)
        assert states.get([b"account-1"])[0] == [known(12, 12, 3)]
    publish(pipeline, [("account-1", known(12, 30, 2))])
    with following(pipeline, tmp_path / "states") as states:
        ready(states)
        assert states.get([b"account-1", b"account-2", b"account-3"])[0] == [known(12, 12, 3), None, known(30, 30)]
    assert "read anew" not in capfd.readouterr().out


def test_a_topic_that_was_created_again_is_read_anew(pipeline: Pipeline, admin: AdminClient, tmp_path: Path) -> None:
    """What is on disk of the former topic is forgotten."""
    publish(pipeline, ((f"account-{n}", known(30, 30)) for n in range(30)))
    with following(pipeline, tmp_path / "states") as states:
        ready(states)
    admin.delete_topics([ACCOUNT_STATE])[ACCOUNT_STATE].result(30)
    wait_until("it is gone", lambda: ACCOUNT_STATE not in admin.list_topics(timeout=10).topics, 20, 0.1)
    admin.create_topics([NewTopic(ACCOUNT_STATE, PARTITIONS, 1)])[ACCOUNT_STATE].result(30)
    publish(pipeline, ((f"account-{n}", known(12, 12)) for n in range(1, 60)))
    with following(pipeline, tmp_path / "states") as states:
        ready(states)
        assert states.get([b"account-0", b"account-40"])[0] == [None, known(12, 12)]


@pytest.mark.parametrize(("offset", "hours"), [(1_000_000, 0), (1, 13)])
def test_a_store_that_may_have_missed_something_is_filled_anew(
    pipeline: Pipeline, tmp_path: Path, offset: int, hours: int
) -> None:
    """A log that is shorter than what was read of it; a store so old that tombstones may be gone from the log."""
    publish(pipeline, ((f"account-{n}", known(30, 30)) for n in range(30)))
    topic_id = topic_ids.ask(pipeline.admin, [ACCOUNT_STATE], PARTITIONS).of[ACCOUNT_STATE].hex()
    store = AccountStore(tmp_path / "states", PARTITIONS, join)
    for partition in range(PARTITIONS):
        read = Read(topic_id, offset, NOW - hours * 3_600_000)
        store.write(partition, {b"forgotten": [known(12, 12)]}, read)
    store.close()
    with following(pipeline, tmp_path / "states") as states:
        ready(states)
        assert states.get([b"forgotten", b"account-1"])[0] == [None, known(30, 30)]


def test_content_waits_for_a_deadline_and_no_longer(pipeline: Pipeline, tmp_path: Path) -> None:
    """Nobody answers for the states: after the deadline it is decided with what there is."""
    store = AccountStore(tmp_path / "states", PARTITIONS, join)
    silent = reader_properties("127.0.0.1:1", {})
    states = AccountStates(store, silent, lambda: bytes(16), PARTITIONS, 0.5, everywhere=True)
    try:
        states.follow({1}, {1})
        assert states.waiting() == {1}
        time.sleep(0.6)
        assert states.waiting() == frozenset()
        assert states.get([b"somebody"]) == ([None], [False])
    finally:
        states.close()


class Decided:
    """What became of comments that three accounts write on a surface with a gate."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline, self._folder, self._round = pipeline, folder, 0

    def under(self, pack: str, count: int = 9) -> tuple[list[str], list[Any]]:
        """Actions by account, adult, teen, flip, and the leaves' accounts, under a pack."""
        (self._folder / "pack.yaml").write_text(pack)
        self._round += 1
        written = [
            each
            | {"event_id": f"{self._round}-{n}", "account_id": ("adult", "teen", "flip")[n % 3], "surface": "arena"}
            for n, each in enumerate(comments(count))
        ]
        self._pipeline.produce(written)
        changes: Any = {
            "policy": {"pack": str(self._folder)},
            "worker": {"state_folder": str(self._folder / "states")},
        }
        self._pipeline.run_until_drained(**changes)
        decided = [decode(m.value(), "decision") for m in self._pipeline.read(DECISIONS)]
        mine = {d["decision_id"]: d for d in decided if d["event_id"].startswith(f"{self._round}-")}
        actions = {d["account_id"]: d["action"] for d in mine.values()}
        leaves = [decode(m.value(), "leaf")["decision"] for m in self._pipeline.read(AUDIT)]
        read = [leaf for leaf in leaves if leaf and leaf["decision_id"] in mine]
        assert len(read) == len(mine) == count
        return [actions[name] for name in ("adult", "teen", "flip")], read


def test_a_migration_is_a_change_of_the_pack_and_back_again(pipeline: Pipeline, tmp_path: Path) -> None:
    """Shadow, switch, back: the third account is over 16 by the old model and under it by the new one."""
    publish(pipeline, [("adult", known(30, 30)), ("teen", known(14, 14)), ("flip", known(30, 14))])
    folder = tmp_path / "pack"
    folder.mkdir()
    decided = Decided(pipeline, folder)
    old, new = PACK % "age", PACK % "age-new"

    shadow, leaves = decided.under(old + CANDIDATE % ("age-new", 0, 1))
    assert shadow == ["allow", "age_restrict", "allow"]
    read = [{(o["detector"], o["outcome"]) for o in leaf["accounts"][0]["outcomes"]} for leaf in leaves]
    assert {("age", "reached"), ("age-new", "below")} in read
    assert all(leaf["accounts"][0]["caught_up"] and leaf["accounts"][0]["marks"] for leaf in leaves)

    switched, _ = decided.under(new + CANDIDATE % ("age", 0, 1))
    assert switched == ["allow", "age_restrict", "age_restrict"]

    back, leaves = decided.under(old)
    assert back == shadow
    assert not any(leaf["candidate_stopped"] for leaf in leaves)


def test_the_guard_stops_a_migration_in_the_worker(pipeline: Pipeline, tmp_path: Path) -> None:
    """One account in three would flip, a twentieth is allowed: later batches are decided by the old model alone."""
    publish(pipeline, [("adult", known(30, 30)), ("teen", known(14, 14)), ("flip", known(30, 14))])
    folder = tmp_path / "pack"
    folder.mkdir()
    _, leaves = Decided(pipeline, folder).under(PACK % "age" + CANDIDATE % ("age-new", 1, 0.05), 3000)
    in_force = {(leaf["candidate_stopped"], leaf["accounts"][0]["in_force"]) for leaf in leaves}
    assert in_force == {(False, "age-new"), (True, "age")}

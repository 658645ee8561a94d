"""How long a worker waits for the states of its accounts, how large they are on disk, and what a batch of them costs.

    PYTHONPATH=. python -m benchmarks.account_states [--accounts 1000000]

Fills one partition of moderation.account-state, and reads it as a worker does: with an empty store (cold), with a full
one (warm), and with one that lacks the last 10,000 records. Accounts have one to five estimates. Then looks up batches
of 1000 accounts at random, first with nothing of the store in memory, and works out on which side of three gates they
are. On a broker of its own.
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from enforcement.accounts import Accounts
from enforcement.ledger.fold import fold, join
from enforcement.ledger.settings import LedgerSettings
from enforcement.packs import load_pack
from schemas.ages import YEARS, encode_log_pmf
from schemas.columns import Events
from schemas.topics import ACCOUNT_STATE, AGE_ESTIMATES
from stream import topic_ids
from stream.account_states import AccountStates
from stream.account_store import AccountStore
from stream.local_broker import own_broker
from stream.properties import producer_properties, reader_properties

DAY_MS = 24 * 3600 * 1000
NOW_MS = time.time_ns() // 1_000_000
MORE = 10_000
BATCH = 1000
PACK = """
name: benchmark
thresholds: {}
rules:
  - {id: gate, action: age_restrict, reason: For people of 16 and over., when: {author_age: {under: 16}}}
hold: {deadline_hours: 1}
age: {detector: age, gates: {13: 0.5, 16: 0.5, 18: 0.5}}
"""


def states(count: int) -> list[bytes]:
    """States of accounts with one to five estimates."""
    random = np.random.default_rng(5)
    found = []
    for _ in range(count):
        age, value = random.uniform(12, 60), None
        for offset in range(int(random.integers(1, 6))):
            pmf = np.exp(-0.5 * ((np.arange(YEARS) - age - random.normal()) / random.uniform(3, 8)) ** 2) + 1e-9
            at = NOW_MS - offset * DAY_MS
            value = fold(value, AGE_ESTIMATES, offset, estimate(at, pmf / pmf.sum()), LedgerSettings())
        found.append(value or b"")
    return found


def estimate(at: int, pmf: np.ndarray) -> dict[str, object]:
    return {
        "source_topic": "content.profile-signals", "source_partition": 0, "source_offset": 0, "event_time": at,
        "estimated_at": at, "account_id": "a", "detector": "age", "model_version": "1", "abstained": False,
        "mean": 20.0, "low": 15, "high": 25, "log_pmf": encode_log_pmf(pmf[None])[0],
    }  # fmt: skip


def produce(bootstrap: str, values: Sequence[bytes], first: int, count: int) -> None:
    producer = Producer(producer_properties(bootstrap, {}))
    for number in range(first, first + count):
        producer.produce(ACCOUNT_STATE, values[number % len(values)], b"account-%d" % number, partition=0)
        if number % 5000 == 0:
            producer.flush()
    producer.flush()


@contextmanager
def following(bootstrap: str, folder: Path) -> Iterator[tuple[AccountStates, float]]:
    """The states once they are read, and after how many seconds."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    began = time.monotonic()
    followed = AccountStates(
        AccountStore(folder, 1, join),
        reader_properties(bootstrap, {}),
        lambda: topic_ids.ask(admin, [ACCOUNT_STATE], 1).of[ACCOUNT_STATE],
        1,
        3600,
        everywhere=False,
    )
    try:
        followed.follow({0}, {0})
        while followed.waiting():
            time.sleep(0.01)
        yield followed, time.monotonic() - began
    finally:
        followed.close()


def forget_pages(folder: Path) -> None:
    """Have the system drop what it keeps of the store in memory."""
    os.sync()
    with (folder / "data.mdb").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def look_up(followed: AccountStates, accounts: int, times: int) -> list[float]:
    """Milliseconds of each batch."""
    random, took = np.random.default_rng(9), []
    for _ in range(times):
        names = [b"account-%d" % number for number in random.integers(0, accounts, BATCH)]
        began = time.perf_counter()
        found, caught_up = followed.get(names)
        took.append(1e3 * (time.perf_counter() - began))
        assert all(found)
        assert all(caught_up)
    return took


def decide(followed: AccountStates, accounts: int, folder: Path) -> tuple[float, float]:
    """Milliseconds of CPU for reading a batch of accounts for a decision: the first time, and again."""
    (folder / "pack.yaml").write_text(PACK)
    reader = Accounts(load_pack(folder), followed)
    chosen = np.random.default_rng(4).integers(0, accounts, BATCH).tolist()
    records = [{"account_id": f"account-{each}"} for each in chosen]
    events = dataclasses.replace(Events.unplaced([""] * len(records), [""] * len(records), []), records=records)
    everyone, nobody = np.ones(len(records), np.bool_), np.zeros(len(records), np.bool_)
    took = []
    for _ in range(2):
        began = time.process_time()
        reader.read(events, everyone, nobody, NOW_MS)
        took.append(1e3 * (time.process_time() - began))
    return took[0], took[1]


def measure(bootstrap: str, accounts: int, folder: Path) -> None:
    values = states(2000)
    sizes = [len(value) for value in values]
    print(f"{accounts:,} accounts, {statistics.mean(sizes):.0f} bytes each (largest {max(sizes)})")
    produce(bootstrap, values, 0, accounts)
    resident, used = psutil.Process().memory_info().rss, time.process_time()
    with following(bootstrap, folder) as (_, seconds):
        used = time.process_time() - used
        grown = (psutil.Process().memory_info().rss - resident) / 2**20
        print(f"cold: ready after {seconds:.1f} s, {used:.1f} s of CPU; +{grown:.0f} MiB resident")
    disk = (folder / "data.mdb").stat().st_blocks * 512 / 2**20
    with following(bootstrap, folder) as (_, seconds):
        print(f"warm: ready after {seconds:.2f} s; {disk:,.0f} MiB on disk")
    produce(bootstrap, values, accounts, MORE)
    with following(bootstrap, folder) as (_, seconds):
        print(f"{MORE:,} records behind: ready after {seconds:.2f} s")
    forget_pages(folder)
    with following(bootstrap, folder) as (followed, _):
        first = look_up(followed, accounts, 5)
        print(f"a batch of {BATCH}, from disk: {', '.join(f'{ms:.0f}' for ms in first)} ms")
        took = look_up(followed, accounts, 500)
        first_read, again = decide(followed, accounts, folder)
    print(f"then: median {statistics.median(took):.1f} ms, p99 {np.quantile(took, 0.99):.1f} ms")
    print(f"what their states say: {first_read:.0f} ms the first time, {again:.0f} ms again: CPU, looking up included")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    accounts = parser.parse_args().accounts
    with own_broker(print) as broker, tempfile.TemporaryDirectory() as folder:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic(ACCOUNT_STATE, 1, 1)])[ACCOUNT_STATE].result(30)
        measure(broker.bootstrap, accounts, Path(folder))


if __name__ == "__main__":
    main()

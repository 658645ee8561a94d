"""Records of many accounts for the ledger, in transactions of which some are aborted, from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Producer

from tests.fault.avro import encode
from tests.ledger_records import DAY, START, Record, estimate, ordered, proven, restricted, reviewed

ABORTED: Final = 0.1  # share of the transactions
TRANSACTION: Final = 40  # records


def records(seed: int, accounts: int) -> Iterator[Record]:
    """Records without end, each an hour of its account's life after the last."""
    draw = random.Random(seed)
    number = 0
    while True:
        account, at = f"account-{draw.randrange(accounts)}", START + number * DAY // 2400
        topic, record = _one(draw, number, at)
        number += 1
        yield topic, record | {"account_id": account}


def _one(draw: random.Random, number: int, at: int) -> Record:
    decision, content = f"d{number}", f"c{draw.randrange(3)}"
    earlier = f"d{max(0, number - draw.randrange(1, 400))}"
    return draw.choice(
        (
            lambda: restricted(at, decision, f"{content}-{number}", action=draw.choice(["remove", "limit_reach"])),
            lambda: restricted(at, decision, content),
            lambda: restricted(at, earlier, content, sequence=1),
            lambda: estimate(at, draw.choice([14.0, 17.5, 30.0]), model_version=draw.choice(["one", "two"])),
            lambda: estimate(at, detector="age-new", abstained=draw.random() < 0.5),
            lambda: reviewed(at, earlier, draw.choice(["upheld", "overturned", "changed"]), action="limit_reach"),
            lambda: proven(at, verified_over=draw.choice([13, 18]), verified_until=at + DAY),
            lambda: ordered(at, "erase") if draw.random() < 0.1 else ordered(at, "reverse", (earlier,)),
        )
    )()


@dataclass
class Flow:
    """Produces records; transactional, some of the transactions aborted."""

    bootstrap: str
    seed: int
    accounts: int
    sent: int = 0  # committed
    _draw: random.Random = field(init=False)
    _records: Iterator[Record] = field(init=False)
    _producer: Any = field(init=False)

    def __post_init__(self) -> None:
        self._draw, self._records = random.Random(self.seed), records(self.seed, self.accounts)
        self._producer = self._new()

    def _new(self) -> Producer:
        settings = {
            "bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5,
            "transactional.id": f"ledger-flow-{self.seed}", "transaction.timeout.ms": 20_000, "log_level": 0,
            "metadata.recovery.strategy": "none",
        }  # fmt: skip
        producer = Producer(settings)
        producer.init_transactions(20)
        return producer

    def send(self, count: int) -> None:
        """So many records more, and those of aborted transactions on top."""
        wanted = self.sent + count
        while self.sent < wanted:
            aborted = self._draw.random() < ABORTED
            size = min(TRANSACTION, wanted - self.sent)
            self._producer.begin_transaction()
            for _ in range(size):
                topic, record = next(self._records)
                self._producer.produce(topic, encode(topic, record), record["account_id"].encode())
            if aborted:
                self._producer.flush(30)
                self._producer.abort_transaction(30)
            else:
                self._producer.commit_transaction(30)
                self.sent += size

    def renew(self) -> None:
        """A producer of the same id: what was under way is aborted."""
        self._producer = self._new()

    def close(self) -> None:
        """Nothing stays open."""
        self._producer.flush(10)
        self._producer = None

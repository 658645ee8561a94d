"""What a decided event costs: deciding, decision, leaf body, ledger input; and the same records by fastavro alone.

    PYTHONPATH=. python benchmarks/judge.py

Events are comments of two detectors with six scores; one in ten is restricted. Single-threaded, medians of the repeats,
the two ways in turns. Both write the same bytes, which is checked before anything is timed.
"""

import argparse
import dataclasses
import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np

from enforcement.conditions import facts
from enforcement.decide import Policy, decide
from enforcement.judge import Judge, Schemas, Verdicts
from enforcement.pack_model import PackFile
from enforcement.packs import Pack, load_pack
from schemas.columns import Events, Score, Scores
from schemas.leaf_header import BODY_START, HEADER_START
from schemas.registry import Schema, open_registry
from schemas.statuses import Status
from schemas.topics import AUDIT, COMMENTS, DECISIONS, LEDGER_INPUTS, SECOND_LOOK
from schemas.wire import FRAME_BYTES, frame

NOW_MS = 1_790_000_000_000
DETECTORS = ("text", "lexicon")
VERSIONS = (load_pack().versions["text"], "1d7b2c44")
COLUMNS = tuple(Score(detector, category) for detector in DETECTORS for category in ("hate", "harassment", "profanity"))
NO_HEADER = bytes(BODY_START - HEADER_START)


def batch(n: int) -> tuple[Events, Scores]:
    random = np.random.default_rng(7)
    probability = random.random((n, len(COLUMNS)), dtype=np.float32) * np.float32(0.4)
    probability[:, 3:] = 0
    probability[::20, 0] = 0.97  # hate: removed
    probability[10::20, 2] = 0.99  # profanity: labelled
    status = np.zeros((n, 2), np.uint8)
    records = [
        {
            "event_id": f"7c9e6679-7425-40de-944b-{i:012d}",
            "account_id": f"account-{i % 997}",
            "content_id": f"comment-{i}",
            "revision": 0,
            "operation": "create",
            "surface": "comments",
            "audience": "public",
        }
        for i in range(n)
    ]
    events = Events(
        [COMMENTS] * n,
        [bytes(range(16))] * n,
        [1] * n,
        list(range(1_000_000, 1_000_000 + n)),
        [NOW_MS - 2000 + i for i in range(n)],
        records,
        ["some words"] * n,
        [""] * n,
        [()] * n,
        [random.bytes(300) for _ in range(n)],
        np.zeros(n, np.uint16),
        np.zeros(n, np.uint8),
        {},
    )
    return events, Scores(COLUMNS, DETECTORS, VERSIONS, probability, status, np.zeros((n, 2), np.uint8))


def plain(verdicts: Verdicts, decision: Schema, leaf: Schema, ledger: Schema) -> Callable[[], list[bytes]]:
    """Writes the same records by fastavro, from dicts that are ready: it decides nothing and hashes nothing."""
    work: list[tuple[bytes, Any, Any]] = []
    for value, body, entry in zip(verdicts.decisions, verdicts.leaf_bodies, verdicts.ledger_inputs, strict=True):
        work.append((frame(decision.id), decision.parsed, _ready(value[FRAME_BYTES:], decision)))
        work.append((b"", leaf.parsed, _ready(NO_HEADER + body, leaf)))
        if entry is not None:
            work.append((frame(ledger.id), ledger.parsed, _ready(entry[FRAME_BYTES:], ledger)))

    def write() -> list[bytes]:
        written = []
        for begin, parsed, record in work:
            out = io.BytesIO(begin)
            out.seek(len(begin))
            fastavro.schemaless_writer(out, parsed, record)
            written.append(out.getvalue())
        return written

    return write


def _ready(body: bytes, schema: Schema) -> Any:
    """A record as a program would hold it: times are milliseconds, which fastavro writes faster than datetimes."""
    plain_times = json.loads(json.dumps(dict(schema.raw)).replace('"logicalType": "timestamp-millis"', '"was": "time"'))
    return fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(plain_times), None)


def expected(verdicts: Verdicts) -> list[bytes]:
    rows = zip(verdicts.decisions, verdicts.leaf_bodies, verdicts.ledger_inputs, strict=True)
    return [value for d, leaf, entry in rows for value in (d, NO_HEADER + leaf, entry) if value is not None]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fifty_rules(pack: Pack) -> Pack:
    """A pack of 50 rules, half of them with conditions."""
    rules = [
        {
            "id": f"rule-{i}",
            "category": ("hate", "harassment", "profanity")[i % 3],
            "threshold": ("low", "high")[i % 2],
            "action": ("label", "limit_reach", "hold", "remove")[i % 4],
            "reason": "Because.",
            "when": {"surface": ["comments", "live-chat"], "audience": ["public"]} if i % 2 else {},
        }
        for i in range(50)
    ]
    thresholds = {"low": {"value": 0.7}, "high": {"value": 0.95}}
    data = {"name": "fifty", "thresholds": thresholds, "rules": rules, "hold": {"deadline_hours": 1}}
    return dataclasses.replace(pack, file=PackFile.model_validate(data))


def main() -> None:
    arguments = argparse.ArgumentParser(description="What a decided event costs.")
    arguments.add_argument("--events", type=int, default=1000, help="events a batch")
    arguments.add_argument("--repeats", type=int, default=30)
    options = arguments.parse_args()
    n = options.events
    registry = open_registry()
    decision, leaf, ledger = (registry.latest(topic) for topic in (DECISIONS, AUDIT, LEDGER_INPUTS))
    pack = load_pack()
    schemas = Schemas(decision, leaf, ledger, registry.latest(SECOND_LOOK))
    judge = Judge(pack, "cluster", schemas, COLUMNS, DETECTORS, VERSIONS, registry.by_id)
    events, scores = batch(n)
    assert (scores.status == Status.scored).all()
    verdicts = judge.judge(events, scores, NOW_MS)
    by_fastavro = plain(verdicts, decision, leaf, ledger)
    assert by_fastavro() == expected(verdicts), "the two ways write different bytes"
    policy, asked = Policy(fifty_rules(pack), COLUMNS, DETECTORS, VERSIONS), facts(events)

    ours, theirs, deciding = [], [], []
    for _ in range(options.repeats):
        ours.append(seconds(lambda: judge.judge(events, scores, NOW_MS)))
        theirs.append(seconds(by_fastavro))
        deciding.append(seconds(lambda: decide(policy, asked, scores, NOW_MS)))
    mine, plain_one, pure = (statistics.median(all_of) * 1e6 / n for all_of in (ours, theirs, deciding))
    restricted = sum(entry is not None for entry in verdicts.ledger_inputs)
    print(f"{n} events a batch, {restricted} restricted, medians of {options.repeats} repeats; µs an event:")
    print(f"{mine:8.2f}  judge: decide, ids, commitments, all records")
    print(f"{plain_one:8.2f}  fastavro: the same records and nothing else; {plain_one / mine:.1f} x the judge")
    print(f"{pure:8.2f}  decide alone, a pack of 50 rules; {1 / pure:.2f} M decisions/s")


if __name__ == "__main__":
    main()

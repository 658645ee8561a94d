"""Batches of events and scores for tests of the decision and its records: made by hypothesis, or plain ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from enforcement.judge import Judge, Schemas
from enforcement.packs import Pack, load_pack
from schemas.columns import Events, Score, Scores
from schemas.registry import Schema, parse
from schemas.statuses import Reason, Status
from schemas.topics import AUDIT, COMMENTS, DECISIONS, LEDGER_INPUTS, MESSAGES, SECOND_LOOK

DRAFTS = Path(__file__).parents[1] / "schemas" / "avro"
CLUSTER = "cluster-of-tests"
PROPERTY = settings(max_examples=60, deadline=None)  # a busy machine is no failure
NOW_MS = 1_790_000_000_000
COLUMNS = tuple(Score(d, c) for d in ("text", "lexicon") for c in ("hate", "harassment", "profanity"))


def schema(topic: str, number: int = 1_000_003) -> Schema:
    """The working draft of a topic's schema."""
    return parse(number, f"{topic}-value", 1, json.loads((DRAFTS / f"{topic}.avsc").read_text()), topic)


DECISION, LEAF, LEDGER = schema(DECISIONS, 1_000_003), schema(AUDIT, 1_000_004), schema(LEDGER_INPUTS, 1_000_006)
SCHEMAS = Schemas(DECISION, LEAF, LEDGER, schema(SECOND_LOOK, 1_000_009))


DEFAULT_PACK = load_pack()


def versions(detectors: Sequence[str]) -> tuple[str, ...]:
    """Model versions that the default pack is for, or any."""
    return tuple(DEFAULT_PACK.versions.get(name, f"{name}-1") for name in detectors)


def judge(pack: Pack | None = None, columns: Sequence[Score] = COLUMNS) -> Judge:
    """A judge of the default pack and of detectors text and lexicon, unless said otherwise."""
    detectors = tuple(dict.fromkeys(column.detector for column in columns))
    return Judge(pack or DEFAULT_PACK, CLUSTER, SCHEMAS, columns, detectors, versions(detectors), lambda _: LEAF)


def events(records: Sequence[dict[str, Any]], **columns: Any) -> Events:
    """Events of one partition, in offset order from 0."""
    n = len(records)
    return Events(
        **{
            "topics": [COMMENTS] * n,
            "topic_ids": [bytes(range(16))] * n,
            "partitions": [2] * n,
            "offsets": list(range(n)),
            "timestamps_ms": [NOW_MS - 1000 + i for i in range(n)],
            "records": list(records),
            "texts": [""] * n,
            "languages": [""] * n,
            "attachments": [()] * n,
            "values": [b"value %d" % i for i in range(n)],
            "flags": np.zeros(n, np.uint16),
            "attempts": np.zeros(n, np.uint8),
            "origins": {},
        }
        | columns
    )


def scores(probability: Any, status: Any = None, reason: Any = None, columns: Sequence[Score] = COLUMNS) -> Scores:
    """Scores of the given columns, all `scored` unless said otherwise; NaN is put where nothing is scored."""
    detectors = tuple(dict.fromkeys(column.detector for column in columns))
    p = np.array(probability, dtype=np.float32)
    p = p.reshape(-1 if columns else len(p), len(columns))
    shape = (len(p), len(detectors))
    s = np.zeros(shape, np.uint8) if status is None else np.array(status, np.uint8).reshape(shape)
    r = np.zeros(shape, np.uint8) if reason is None else np.array(reason, np.uint8).reshape(shape)
    p[s[:, [detectors.index(column.detector) for column in columns]] != Status.scored] = np.nan
    return Scores(tuple(columns), detectors, versions(detectors), p, s, r)


ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
records = st.fixed_dictionaries(
    {"event_id": ids, "account_id": ids},
    optional={
        "content_id": st.none() | ids,
        "revision": st.none() | st.integers(0, 2**63 - 1),
        "operation": st.sampled_from(["create", "edit", "delete"]),
        "surface": st.none() | st.sampled_from(["comments", "live-chat", "地点"]),
        "audience": st.none() | st.sampled_from(["public", "private"]),
    },
)
probabilities = st.floats(0, 1, width=32) | st.sampled_from([float(np.float32(0.9)), float(np.float32(0.95)), 0.5])


@st.composite
def batches(draw: st.DrawFn, columns: Sequence[Score] = COLUMNS, largest: int = 12) -> tuple[Events, Scores]:
    """A batch with everything that can vary, and its scores."""
    n = draw(st.integers(1, largest))
    each = lambda values: draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    detectors = len({column.detector for column in columns})
    long = st.integers(0, 2**63 - 1)
    taken = events(
        each(records),
        topics=each(st.sampled_from([COMMENTS, MESSAGES, "playlist-titles"])),
        topic_ids=each(st.binary(min_size=16, max_size=16)),
        partitions=each(st.integers(0, 2**31 - 1)),
        offsets=each(long),
        timestamps_ms=each(st.integers(0, 4_102_444_800_000)),
        values=each(st.binary(max_size=40)),
        flags=np.array(each(st.integers(0, 127)), np.uint16),
        attempts=np.array(each(st.integers(0, 255)), np.uint8),
        origins={row: f"topic/0/{row}" for row in range(n) if draw(st.booleans())},
    )
    p = each(st.lists(probabilities, min_size=len(columns), max_size=len(columns)))
    s = each(st.lists(st.sampled_from(Status), min_size=detectors, max_size=detectors))
    r = each(st.lists(st.sampled_from(Reason), min_size=detectors, max_size=detectors))
    return taken, scores(p, s, r, columns)

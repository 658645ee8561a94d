"""The bytes of decisions, leaves and ledger inputs: any reader decodes the right values, fastavro writes the same."""

import hashlib
import io
import math
import uuid
from datetime import UTC, datetime
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.audit.leaf import BODIES, next_offset, read_leaf
from enforcement.identity import NAMESPACE, decision_id
from enforcement.judge import Judge, Verdicts
from schemas.actions import Action
from schemas.columns import Events, Score, Scores
from schemas.flags import names as flag_names
from schemas.leaf_header import BODY_START, BadLeaf, Head, Kind, cluster_tag, seal
from schemas.registry import Schema
from schemas.statuses import Reason, Status
from schemas.wire import frame
from tests.decided_batches import CLUSTER, DECISION, LEAF, LEDGER, NOW_MS, PROPERTY, batches, events, judge, scores

JUDGE = judge()


def decoded(value: bytes, schema: Schema) -> dict[str, Any]:
    """A framed value, read to its last byte, and written again by fastavro to the same bytes."""
    assert value[:5] == frame(schema.id)
    source = io.BytesIO(value[5:])
    record: Any = fastavro.schemaless_reader(source, schema.parsed, None)
    assert not source.read(1)
    again = io.BytesIO()
    fastavro.schemaless_writer(again, schema.parsed, record)
    assert again.getvalue() == value[5:]
    return record


def leaves(by: Judge, taken: Events, verdicts: Verdicts) -> list[bytes]:
    """The bodies as whole leaves of one chain; a chain does not mind from where its rows come."""
    rows = [(Kind.decision, offset, body) for offset, body in zip(taken.offsets, verdicts.leaf_bodies, strict=True)]
    return seal(Head(), by.leaf_frame, cluster_tag(CLUSTER), bytes(16), 0, rows)[0]


def at(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def float32s(values: Any) -> list[float | None]:
    """Floats for comparison: NaN as None, since it equals nothing."""
    return [None if math.isnan(value) else float(value) for value in values]


@PROPERTY
@given(batches())
def test_decisions_say_what_was_decided_about_which_event(batch: tuple[Events, Scores]) -> None:
    taken, given_scores = batch
    verdicts = JUDGE.judge(taken, given_scores, NOW_MS)
    for row, value in enumerate(verdicts.decisions):
        decision, record = decoded(value, DECISION), taken.records[row]
        ident = uuid.uuid5(
            NAMESPACE,
            f"{CLUSTER}/{uuid.UUID(bytes=taken.topic_ids[row])}/{taken.partitions[row]}/{taken.offsets[row]}",
        )
        assert decision["decision_id"] == str(ident)
        assert ident == decision_id(CLUSTER, taken.topic_ids[row], taken.partitions[row], taken.offsets[row])
        assert decision["source_topic"] == taken.topics[row]
        assert (decision["source_partition"], decision["source_offset"]) == (taken.partitions[row], taken.offsets[row])
        assert decision["event_time"] == at(taken.timestamps_ms[row])
        assert (decision["event_id"], decision["account_id"]) == (record["event_id"], record["account_id"])
        assert decision["content_id"] == (record.get("content_id") or record["event_id"])
        assert decision["content_type"] == taken.topics[row].removeprefix("content.")
        assert (decision["surface"], decision["revision"]) == (record.get("surface"), record.get("revision"))
        assert decision["operation"] == record.get("operation", "create")
        assert decision["flags"] == flag_names(int(taken.flags[row]))
        assert Action[decision["action"]] == verdicts.actions[row]
        assert decision["degraded"] == verdicts.degraded[row] == bool(decision["missing"])
        assert (decision["hold_deadline"] is not None) == (decision["action"] == "hold")
        assert (decision["score"] is None) == (decision["threshold"] is None)
        assert decision["score"] is None or 0 < decision["threshold"] <= decision["score"]
        assert (decision["sequence"], decision["decided_at"]) == (0, at(NOW_MS))
        assert decision["pack_version"] == JUDGE.policy.pack.version
        assert decision["models"] == [
            {"detector": "text", "version": JUDGE.policy.pack.versions["text"]},
            {"detector": "lexicon", "version": "lexicon-1"},
        ]


@PROPERTY
@given(batches())
def test_leaves_hold_every_value_that_was_read_and_agree_with_the_decision(batch: tuple[Events, Scores]) -> None:
    taken, given_scores = batch
    verdicts = JUDGE.judge(taken, given_scores, NOW_MS)
    for row, leaf in enumerate(leaves(JUDGE, taken, verdicts)):
        decoded(leaf, LEAF)
        decision, body = decoded(verdicts.decisions[row], DECISION), read_leaf(leaf, lambda _: LEAF).body
        common = set(decision) & set(body)
        assert {"action", "rule", "score", "threshold", "hold_deadline", "flags", "models", "decision_id"} <= common
        assert {name: body[name] for name in common} == {name: decision[name] for name in common}
        assert body["commitment"] == hashlib.sha256(decision["commitment_salt"] + taken.values[row]).digest()
        assert float32s(body["scores"]) == float32s(given_scores.probability[row])
        assert body["statuses"] == [Status(status).name for status in given_scores.status[row]]
        assert body["reasons"] == [Reason(reason).name for reason in given_scores.reason[row]]
        assert body["columns"] == [{"detector": c.detector, "category": c.category} for c in given_scores.columns]
        assert (body["attempts"], body["origin"]) == (taken.attempts[row], taken.origins.get(row))
        assert body["audience"] == taken.records[row].get("audience")
        assert body["rule"] in {*body["fired"], "deletion", None} or body["rule"].startswith("on_missing.")


@PROPERTY
@given(batches())
def test_the_ledger_gets_each_restriction_and_nothing_else(batch: tuple[Events, Scores]) -> None:
    taken, given_scores = batch
    verdicts = JUDGE.judge(taken, given_scores, NOW_MS)
    for row, value in enumerate(verdicts.ledger_inputs):
        assert (value is None) == (verdicts.actions[row] == Action.allow)
        if value is not None:
            entry, decision = decoded(value, LEDGER), decoded(verdicts.decisions[row], DECISION)
            assert entry == {name: decision[name] for name in entry}


def test_nothing_personal_stands_in_a_leaf() -> None:
    """Neither what the event says of a person nor the salt that opens the commitment."""
    secrets = {"event_id": "EVENT-ID", "account_id": "ACCOUNT-ID", "content_id": "CONTENT-ID", "text": "THE-TEXT"}
    taken = events([secrets], texts=["THE-TEXT"], values=[b"THE-VALUE"])
    verdicts = JUDGE.judge(taken, scores([0.99] * 6), NOW_MS)
    [leaf] = leaves(JUDGE, taken, verdicts)
    salt = decoded(verdicts.decisions[0], DECISION)["commitment_salt"]
    for secret in (*map(str.encode, secrets.values()), b"THE-VALUE", salt):
        assert secret not in leaf
        assert secret in verdicts.decisions[0] or secret in (b"THE-TEXT", b"THE-VALUE")


def test_salts_are_never_the_same() -> None:
    taken = events([{"event_id": "e", "account_id": "a"}] * 100)
    both = [JUDGE.judge(taken, scores([[0.1] * 6] * 100), NOW_MS).decisions for _ in range(2)]
    salts = {decoded(value, DECISION)["commitment_salt"] for values in both for value in values}
    assert len(salts) == 200


@pytest.mark.parametrize("columns", [(), (Score("null", "hate"),)])
def test_workers_with_no_columns_or_one_write_records_too(columns: tuple[Score, ...]) -> None:
    by, taken = judge(columns=columns), events([{"event_id": "e", "account_id": "a"}] * 2)
    verdicts = by.judge(taken, scores(np.zeros((2, len(columns))), columns=columns), NOW_MS)
    for value, leaf in zip(verdicts.decisions, leaves(by, taken, verdicts), strict=True):
        assert decoded(value, DECISION)["action"] == "allow"
        assert decoded(leaf, LEAF)["decision"]["scores"] == [0.0] * len(columns)


def test_an_empty_batch_is_an_empty_batch() -> None:
    verdicts = JUDGE.judge(events([]), scores([]), NOW_MS)
    assert (verdicts.decisions, verdicts.leaf_bodies, verdicts.ledger_inputs) == ([], [], [])


SALT = bytes(range(16))
OTHERS = [
    (
        Kind.dead_letter,
        JUDGE.dead_letter_body("truncated", "content.comments", 1, 2, b"value", "topic/1/2", SALT, NOW_MS),
        {"topic": "content.comments", "event_time": at(1), "reason": "truncated", "attempt": 2, "origin": "topic/1/2",
         "commitment": hashlib.sha256(SALT + b"value").digest(), "decided_at": at(NOW_MS)},
    ),
    (
        Kind.dead_letter,
        JUDGE.dead_letter_body("tombstone", "content.comments", 1, 1, None, None, SALT, NOW_MS),
        {"topic": "content.comments", "event_time": at(1), "reason": "tombstone", "attempt": 1, "origin": None,
         "commitment": None, "decided_at": at(NOW_MS)},
    ),
    (
        Kind.genesis,
        JUDGE.genesis_body("content.comments", CLUSTER, bytes(16), NOW_MS),
        {"topic": "content.comments", "cluster_id": CLUSTER, "previous_topic_id": bytes(16), "decided_at": at(NOW_MS)},
    ),
    (
        Kind.lost_to_retention,
        JUDGE.lost_body("content.comments", 7, 12, NOW_MS),
        {"topic": "content.comments", "first": 7, "next": 12, "decided_at": at(NOW_MS)},
    ),
    (
        Kind.review,
        JUDGE.recorded_body("moderation.reviews", 1, b"value", None, NOW_MS),
        {"topic": "moderation.reviews", "event_time": at(1), "commitment": None, "decided_at": at(NOW_MS)},
    ),
    (
        Kind.control,
        JUDGE.recorded_body("moderation.controls", 1, b"value", SALT, NOW_MS),
        {"topic": "moderation.controls", "event_time": at(1),
         "commitment": hashlib.sha256(SALT + b"value").digest(), "decided_at": at(NOW_MS)},
    ),
]  # fmt: skip


def sealed(kind: Kind, offset: int, body: bytes) -> bytes:
    [leaf], _ = seal(Head(), JUDGE.leaf_frame, cluster_tag(CLUSTER), bytes(16), 0, [(kind, offset, body)])
    return leaf


@pytest.mark.parametrize(("kind", "body", "expected"), OTHERS)
def test_the_other_bodies_decode_to_what_they_were_made_of(kind: Kind, body: bytes, expected: dict[str, Any]) -> None:
    leaf = sealed(kind, 7, body)
    decoded(leaf, LEAF)
    read = read_leaf(leaf, lambda _: LEAF)
    assert (read.header.kind, read.body) == (kind, expected)


@pytest.mark.parametrize(("kind", "body", "expected"), OTHERS)
def test_each_leaf_says_which_offset_comes_next(kind: Kind, body: bytes, expected: dict[str, Any]) -> None:
    following = {Kind.genesis: 7, Kind.lost_to_retention: 12}.get(kind, 8)
    assert JUDGE.next_offset(sealed(kind, 7, body)) == following
    assert JUDGE.topic_of_genesis(sealed(kind, 7, body)) == ("content.comments" if kind is Kind.genesis else None)


@pytest.mark.parametrize(("kind", "body", "expected"), OTHERS)
def test_a_leaf_whose_body_is_not_what_its_header_says_is_none(
    kind: Kind, body: bytes, expected: dict[str, Any]
) -> None:
    wrong = next(other for other in Kind if BODIES[other] != BODIES[kind])
    with pytest.raises(BadLeaf, match=f"the header says {wrong.name}, the body is {BODIES[kind]}"):
        read_leaf(sealed(wrong, 7, body), lambda _: LEAF)


@PROPERTY
@given(st.data())
def test_a_leaf_cut_short_or_grown_is_none(data: st.DataObject) -> None:
    leaf = sealed(Kind.lost_to_retention, 7, OTHERS[3][1])
    with pytest.raises(BadLeaf):
        read_leaf(leaf[: data.draw(st.integers(0, len(leaf) - 1))], lambda _: LEAF)
    with pytest.raises(BadLeaf, match="left over"):
        read_leaf(leaf + data.draw(st.binary(min_size=1)), lambda _: LEAF)
    with pytest.raises(BadLeaf):
        next_offset(leaf[: BODY_START + 3], lambda _: LEAF)

"""The account ledger on a real broker: killed twice under transactional inputs, and what it can't fold."""

from pathlib import Path

import pytest

from schemas import headers, topics
from stream.local_broker import Broker
from tests.fault.avro import encode
from tests.fault.ledger.run import execute
from tests.ledger_records import ordered, reviewed
from tests.pipeline import Pipeline

pytestmark = pytest.mark.integration
CREATED_ELSEWHERE = "account-of-another-partition"


def test_a_ledger_that_is_killed_loses_nothing_and_doubles_nothing(
    broker: Broker, pipeline: Pipeline, tmp_path: Path
) -> None:
    """And what it can't fold is a dead letter, or another process's, and is not in the way of the rest."""
    broken = b"\0\0\0\0\1 no such schema"
    pipeline.produce_raw([(topics.LEDGER_INPUTS, b"x", broken, []), (topics.REVIEWS, b"x", broken, [])])
    misplaced = encode(topics.REVIEWS, reviewed(account_id=CREATED_ELSEWHERE)[1])
    nobody = encode(topics.CONTROLS, ordered(kind="breaker_open")[1] | {"account_id": None})
    for partition in range(3):
        pipeline.produce_raw([(topics.REVIEWS, b"x", misplaced, [])], partition=partition)
        pipeline.produce_raw([(topics.CONTROLS, b"x", nobody, [])], partition=partition)
    outcome = execute(broker, tmp_path, 3, ["kill", "kill"], 100.0, lambda _line: None, slots=1)
    assert outcome.verdict.wrong == []
    assert outcome.verdict.inputs > 100
    letters = [dict(message.headers()) for message in pipeline.read(topics.DEAD_LETTERS)]
    places = (headers.SOURCE_TOPIC, headers.ERROR_REASON, headers.SOURCE_PARTITION)  # one may come twice: a kill
    found = {tuple(each[name] for name in places) for each in letters}
    assert sorted(each[:2] for each in found) == [
        (b"moderation.ledger-inputs", b"unknown_schema_id"),
        (b"moderation.reviews", b"wrong_partition"),
        (b"moderation.reviews", b"wrong_partition"),
    ]

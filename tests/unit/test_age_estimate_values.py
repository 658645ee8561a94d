"""What a detector of age says becomes records for the ledger, of the rows about which it said something."""

import io

import fastavro
import numpy as np
import pytest

from schemas import topics
from schemas.ages import HIGH, LOW, MEAN, YEARS, encode_log_pmf, unknown
from schemas.columns import Scores
from schemas.statuses import Status
from stream.age_estimates import AgeEstimates
from tests.decided_batches import NOW_MS, events, schema

SCHEMA = schema(topics.AGE_ESTIMATES)


@pytest.mark.filterwarnings("error")
def test_only_scored_rows_are_worked_out():
    """The others are NaN, and have no logarithm."""
    status = np.array([[Status.scored], [Status.skipped], [Status.abstained], [Status.scored]], np.uint8)
    ages = unknown(4)
    for row, year in ((0, 15), (3, 40)):
        ages[row] = 0
        ages[row, [year, MEAN, LOW, HIGH]] = 1, year, year, year
    columns = ((), ("age",), ("one",), np.zeros((4, 0), np.float32), status, np.zeros((4, 1), np.uint8))
    found = AgeEstimates(SCHEMA).encode(
        events([{"event_id": "e", "account_id": "a"}] * 4), Scores(*columns, age={"age": ages}), NOW_MS
    )
    told = {
        row: fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMA.parsed, None) for row, [value] in found.items()
    }
    assert {row: (each["abstained"], each["mean"]) for row, each in told.items()} == {
        0: (False, 15.0), 2: (True, None), 3: (False, 40.0),
    }  # fmt: skip
    assert told[3]["log_pmf"] == encode_log_pmf(np.eye(YEARS)[[40]])[0]

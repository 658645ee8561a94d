"""What a committed transaction adds to the metrics."""

import time
from typing import Final

from schemas.leaf_header import Kind
from stream.committer import Publication
from stream.metrics import WorkerMetrics

_RECORDED: Final = frozenset({Kind.control, Kind.review, Kind.account_action})


def measure(publication: Publication, metrics: WorkerMetrics) -> None:
    """Count a transaction that is visible now; one that only wrote something down counts nothing."""
    batch, verdicts = publication.batch, publication.verdicts
    if batch is None or verdicts is None:
        return
    decoded, rows = batch.decoded, publication.rows
    metrics.decided(publication.topics, verdicts.actions[rows], verdicts.degraded[rows])
    count = 0
    for entry in publication.entries:
        count += len(entry.leaves)
        metrics.recorded([entry.lane.topic for kind, _, _ in entry.leaves if kind in _RECORDED])
    for each in batch.slices:
        dead = [decoded.dead[row] for kind, row, _ in each.rows if kind is Kind.dead_letter and each.lane.alive]
        metrics.dead_lettered((each.lane.topic, letter.poison.reason) for letter in dead)
    if rows:
        oldest = min(decoded.events.timestamps_ms[row] for row in rows)
        metrics.batch_age.observe(max(0.0, time.time() - oldest / 1000))
    metrics.batch_events.observe(count)

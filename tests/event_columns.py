"""Events as columns, from texts alone: for tests and benchmarks of what detects and decides."""

from collections.abc import Sequence

import numpy as np

from schemas.attachments import Attachment
from schemas.columns import Events


def events(
    texts: Sequence[str],
    attempts: Sequence[int] | None = None,
    languages: Sequence[str] | None = None,
    attachments: Sequence[tuple[Attachment, ...]] | None = None,
) -> Events:
    """One event a text, all of one partition."""
    n = len(texts)
    return Events(
        topics=["content.comments"] * n,
        topic_ids=[bytes(16)] * n,
        partitions=[0] * n,
        offsets=list(range(n)),
        timestamps_ms=[0] * n,
        records=[{"event_id": str(row), "account_id": "account"} for row in range(n)],
        texts=list(texts),
        languages=list(languages or [""] * n),
        attachments=list(attachments or [()] * n),
        values=[b""] * n,
        flags=np.zeros(n, np.uint16),
        attempts=np.array(attempts or [0] * n, np.uint8),
        origins={},
    )

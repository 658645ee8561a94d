"""Writes made-up events as JSON Lines for ever: `sample_events.py TOPIC EVENTS_PER_SECOND`."""

import json
import random
import sys
import time
import uuid
from typing import Any

ACCOUNTS = 500
OPENINGS = ("honestly", "hey", "to everyone here", "@sam", "about yesterday", "update", "one more thing")
REMARKS = (
    "thanks, this was really helpful",
    "the second half is much better than the first",
    "does anybody know when it opens?",
    "I disagree, but I see your point",
    "what a beautiful picture",
    "you are a complete idiot and nobody wants you here",
    "shut up, you stupid moron",
    "this is the worst damn service I have ever seen",
    "go back to where you came from",
)
BIOS = ("photos, bread, long walks", "I write about trains", "hates mornings", "fan account, not affiliated")


def event(topic: str, number: int) -> dict[str, Any]:
    """One event of a content type."""
    account = f"account-{random.randrange(ACCOUNTS):04}"  # noqa: S311  # not a secret
    shared = {"event_id": str(uuid.uuid4()), "account_id": account, "created_at": time.time_ns() // 1_000_000}
    if topic == "content.profile-signals":
        return shared | {"content_id": account, "bio": random.choice(BIOS), "account_age_days": number % 2000}  # noqa: S311
    text = f"{random.choice(OPENINGS)}: {random.choice(REMARKS)}"  # noqa: S311
    return shared | {"text": text, "language": "en", "region": "IE"}


def main(topic: str, per_second: float) -> None:
    """Write events, evenly spaced."""
    for number in range(sys.maxsize):
        print(json.dumps(event(topic, number)), flush=True)
        time.sleep(1 / per_second)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

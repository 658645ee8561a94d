"""Writes made-up events as JSON Lines for ever: `sample_events.py TOPIC EVENTS_PER_SECOND`."""

import json
import sys
import time

from safestream.sample_events import endless_events


def main(topic: str, per_second: float) -> None:
    """Write events, evenly spaced; another series at each start."""
    for event in endless_events(topic, seed=time.time_ns()):
        print(json.dumps({**event.record, "created_at": time.time_ns() // 1_000_000}), flush=True)
        time.sleep(1 / per_second)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

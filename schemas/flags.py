"""What was odd about an event that could be decoded all the same: flagged, and decided."""

from enum import IntFlag


class Flag(IntFlag):
    """Bits of the `flags` of a decision and a leaf."""

    timestamp_past = 1  # created_at, or the producer's record timestamp, lies more than 10 years back
    timestamp_future = 2  # … or more than a day ahead: decided by the broker's time instead
    key_not_account = 4  # the record's key is not the UTF-8 account_id
    misplaced = 8  # the record lies in another partition than murmur2 of its account_id gives
    text_long = 16  # text over the detectors' single pass: scored in chunks
    replayed = 32  # a dead letter replayed by us; the leaf names the original coordinates
    replay_unsigned = 64  # replay headers without our signature: ignored, treated as a first attempt


def names(flags: int) -> list[str]:
    """The names of the bits set in `flags`, in bit order."""
    return [flag.name for flag in Flag if flags & flag and flag.name]

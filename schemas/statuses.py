"""What a detector's answer is worth. A missing score is never read as "safe": policy says what it means."""

from enum import IntEnum


class Status(IntEnum):
    """A detector's status for one event."""

    scored = 0
    skipped = 1  # the detector was not asked (nothing for it to read, or the cascade had no need): not missing
    abstained = 2  # asked, and it declines to say
    error = 3  # asked, and it failed: see `Reason`


class Reason(IntEnum):
    """Why there is no score: for the status `error` always, for `abstained` where the detector says; else `none`.

    Numbers stand in the log and never change: new ones go at the end.
    """

    none = 0
    raised = 1  # it raised on this record alone
    crashed = 2  # this record alone kills a fresh process: segmentation fault, abort, exit
    hung = 3  # this record alone never comes back
    memory = 4  # this record alone exceeds the memory limit
    not_a_number = 5  # NaN, infinity, or outside 0..1
    device = 6  # the device or the model is at fault, not the record; the breaker is open
    attempts = 7  # whole workers died at this record as often as the limit allows
    media = 8  # an attachment can't be fetched or decoded: missing, truncated, too big, a bomb, not allowed
    language = 9  # abstained: not evaluated in this language
    unsure = 10  # abstained: it can't tell
    remote = 11  # a server did not answer in time, or not as agreed

"""Every error of ours, sorted by what the caller can do about it.

SafestreamError
├── UserMistake      exit code 2: one line that says what is wrong and what to do
├── Retriable        try the same call again, a bounded number of times
├── Abortable        abort the transaction, rewind to what is committed, go on
├── Overloaded       carry the work over to the next batch
├── Poison           this record's bytes can't be decoded: a dead letter, with its `reason`
└── Fatal            exit code 4: misconfigured, or the log contradicts the chain; a restart won't help
    └── Fenced       exit code 3: another process has taken over this slot
"""

from enum import StrEnum


class SafestreamError(Exception):
    """Root of the tree; never raised itself."""


class UserMistake(SafestreamError):
    """The user can put this right: the message is one line that says what is wrong and what to do."""


class Retriable(SafestreamError):
    """May succeed if tried again: a broker or registry that does not answer."""


class Abortable(SafestreamError):
    """The transaction can't be committed; abort, rewind to the committed positions and go on."""


class Overloaded(SafestreamError):
    """No room now; keep the work and offer it again."""


class PoisonReason(StrEnum):
    """Why a record's bytes can't be decoded. The value is the dead letter's reason and the metric's label."""

    TOMBSTONE = "tombstone"  # no value at all
    TOO_LARGE = "too_large"  # value over the configured size limit
    TOO_SHORT = "too_short"  # fewer than the 5 bytes of the Confluent frame
    WRONG_MAGIC_BYTE = "wrong_magic_byte"  # first byte is not 0
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"  # the registry says there is no such schema
    WRONG_SUBJECT = "wrong_subject"  # a schema, but not one of this topic
    TRUNCATED = "truncated"  # the bytes end within a field
    TRAILING_BYTES = "trailing_bytes"  # bytes left over after the last field
    INVALID_UTF8 = "invalid_utf8"  # a string field that is not UTF-8
    WRONG_TYPE = "wrong_type"  # a union branch, enum symbol or length that can't be
    WRONG_PARTITION = "wrong_partition"  # its account's records are in another partition; of reviews and controls only
    MISSING_FIELD = "missing_field"  # the writer's schema lacks a field that every event must have


class Poison(SafestreamError):
    """A record that can't be decoded, and never will be: it becomes a dead letter."""

    def __init__(self, reason: PoisonReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Fatal(SafestreamError):
    """Going on would lose, double or falsify something. Exit code 4."""


class Fenced(Fatal):
    """Another process runs under this worker's slot. Exit code 3."""


EXIT_CODES: dict[type[SafestreamError], int] = {UserMistake: 2, Fenced: 3, Fatal: 4, Retriable: 4}

"""Kafka header names. All of ours begin with `safestream-`; values are UTF-8 text."""

PREFIX = "safestream-"

# A dead letter keeps the record's own key, value, headers and timestamp, and adds these.
SOURCE_TOPIC = "safestream-source-topic"
SOURCE_TOPIC_ID = "safestream-source-topic-id"  # 32 hexadecimal digits
SOURCE_PARTITION = "safestream-source-partition"
SOURCE_OFFSET = "safestream-source-offset"
SOURCE_TIMESTAMP = "safestream-source-timestamp"  # milliseconds since 1970, as the broker gave it
ERROR_REASON = "safestream-error-reason"  # a PoisonReason
ERROR_MESSAGE = "safestream-error-message"  # never a part of the content
ATTEMPT = "safestream-attempt"  # how often this record was decoded in vain, this time included
FAILED_AT = "safestream-failed-at"  # milliseconds since 1970

# A replay carries the original's SOURCE_* and ATTEMPT, and proves that we wrote them.
REPLAY_SIGNATURE = "safestream-replay-signature"  # HMAC-SHA256, hexadecimal

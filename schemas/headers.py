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
COMMITMENT_SALT = "safestream-commitment-salt"  # 32 hexadecimal digits; with the value it opens the leaf's commitment
LEFT_OUT_BYTES = "safestream-left-out-bytes"  # of key, value and headers, where they are more than the topic takes

# A replay carries ORIGIN and the dead letter's ATTEMPT, and proves that we wrote them; so does a replay's dead letter.
ORIGIN = "safestream-origin"  # where the record first lay: topic id / partition / offset
REPLAY_SIGNATURE = "safestream-replay-signature"  # HMAC-SHA256, hexadecimal

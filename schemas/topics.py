"""The topics of one pipeline. All have the same number of partitions and are keyed by the raw UTF-8 account_id."""

COMMENTS = "content.comments"
MESSAGES = "content.messages"
PROFILE_SIGNALS = "content.profile-signals"

DECISIONS = "moderation.decisions"
AUDIT = "moderation.audit"
DEAD_LETTERS = "moderation.dead-letters"
LEDGER_INPUTS = "moderation.ledger-inputs"
REVIEWS = "moderation.reviews"
CONTROLS = "moderation.controls"

CONTENT = (COMMENTS, MESSAGES, PROFILE_SIGNALS)

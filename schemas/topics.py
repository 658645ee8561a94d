"""The topics of one pipeline. All have the same number of partitions and are keyed by the raw UTF-8 account_id."""

COMMENTS = "content.comments"
MESSAGES = "content.messages"
PROFILE_SIGNALS = "content.profile-signals"

DECISIONS = "moderation.decisions"
AUDIT = "moderation.audit"
DEAD_LETTERS = "moderation.dead-letters"
LEDGER_INPUTS = "moderation.ledger-inputs"
SECOND_LOOK = "moderation.second-look"
REVIEWS = "moderation.reviews"
CONTROLS = "moderation.controls"

AGE_ESTIMATES = "moderation.age-estimates"
ACCOUNT_STATE = "moderation.account-state"
ACCOUNT_ACTIONS = "moderation.account-actions"

CONTENT = (COMMENTS, MESSAGES, PROFILE_SIGNALS)

LEDGER = (AGE_ESTIMATES, LEDGER_INPUTS, REVIEWS, CONTROLS)  # what the account ledger folds

OURS = (
    DECISIONS, AUDIT, DEAD_LETTERS, LEDGER_INPUTS, SECOND_LOOK, REVIEWS, CONTROLS, AGE_ESTIMATES, ACCOUNT_STATE,
    ACCOUNT_ACTIONS,
)  # fmt: skip

PIPELINE = "moderation.pipeline"  # compacted, one partition: what was fixed when the topics were created
PARTITIONS_KEY = b"partitions"  # its record: the number of partitions of every other topic, in decimal digits

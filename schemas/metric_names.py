"""Every metric: its name, kind, labels, and when it moves. Instruments, help texts and the reference page follow.

Durations are in seconds, sizes in records or events; a name says its unit, as Prometheus wants it.
"""

from enum import StrEnum
from typing import Literal, Self

Kind = Literal["counter", "gauge", "histogram"]


class Stage(StrEnum):
    """What a batch goes through, in this order. The value is the label `stage`."""

    TAKE = "take"  # waiting for records, and choosing which go into the batch
    DECODE = "decode"  # from bytes to columns
    DETECT = "detect"  # from submission to the detectors to their result, waiting included
    DECIDE = "decide"  # policy, and encoding decisions and leaves
    PRODUCE = "produce"  # chaining the leaves, handing everything to the client
    COMMIT = "commit"  # flush, offsets, and the commit's answer


class Queue(StrEnum):
    """Where events wait. The value is the label `queue`."""

    WAITING = "waiting"  # fetched and not yet in a batch
    DETECTING = "detecting"  # with the detectors
    DECIDED = "decided"  # scored, not yet committed


class Outcome(StrEnum):
    """What became of a record, other than an action by its name. The value is the label `outcome`."""

    DEAD_LETTER = "dead_letter"  # it can't be decoded
    RECORDED = "recorded"  # a control or a review: a leaf, no decision


class Metric(StrEnum):
    """One metric. The value is its name in Prometheus."""

    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    def __new__(cls, name: str, kind: Kind, labels: tuple[str, ...], meaning: str) -> Self:  # noqa: D102
        member = str.__new__(cls, name)
        member._value_ = name
        member.kind, member.labels, member.meaning = kind, labels, meaning
        return member

    # fmt: off
    EVENTS = ("safestream_events_total", "counter", ("topic", "outcome"),
              "Input records whose transaction was committed, by action, or dead_letter, or recorded.")
    DEGRADED = ("safestream_degraded_total", "counter", ("topic",),
                "Committed decisions made without something that the policy asked for.")
    RESULTS = ("safestream_detector_results_total", "counter", ("detector", "status"),
               "What a detector said of an event: scored, skipped, abstained, error.")
    REUSED = ("safestream_detector_reused_total", "counter", ("detector",),
              "Events whose answer was that to an identical event shortly before, or under way.")
    DEAD_LETTERS = ("safestream_dead_letters_total", "counter", ("topic", "reason"),
                    "Committed dead letters, by why the bytes can't be decoded.")
    LOST = ("safestream_lost_offsets_total", "counter", ("topic",),
            "Offsets that the log no longer had when they were due. Any increase is an alarm.")
    BATCH = ("safestream_batch_events", "histogram", (),
             "Input records of a committed transaction.")
    BATCH_AGE = ("safestream_batch_age_seconds", "histogram", (),
                 "From the broker's timestamp of a batch's oldest record to the batch's commit.")
    STAGE = ("safestream_stage_seconds", "histogram", ("stage",),
             "Time of one batch in a stage. Stages overlap: they don't add up.")
    TRANSACTION = ("safestream_transaction_seconds", "histogram", (),
                   "From the transaction's begin to the answer to its commit.")
    ABORTS = ("safestream_aborts_total", "counter", (),
              "Transactions aborted; their batches are taken again.")
    REBALANCE = ("safestream_rebalance_seconds", "histogram", ("kind",),
                 "Time in a rebalance callback: assigned, revoked (work under way is committed), lost.")
    QUEUE = ("safestream_queue_depth", "gauge", ("queue",),
             "Events that wait, by where. Set about once a second.")
    LAG = ("safestream_lag_records", "gauge", ("topic", "partition"),
           "Records of an assigned partition that are not committed yet. Set about once a second.")
    ASSIGNED = ("safestream_assigned_partitions", "gauge", (),
                "Source partitions in this worker's hands.")
    RESTARTS = ("safestream_detector_restarts_total", "counter", (),
                "Scoring processes replaced: killed, hung, over their memory, crashed.")
    HEALTHY = ("safestream_detector_healthy", "gauge", (),
               "1 while the detectors answer, 0 while the device is held at fault.")
    STATES_BEHIND = ("safestream_account_states_behind_partitions", "gauge", (),
                     "Partitions whose accounts' states are not read to the end seen when they were taken over.")
    COMPARED = ("safestream_age_comparisons_total", "counter", (),
                "Accounts in events of which the age was known, by the model in force or by its candidate.")
    FLIPPED = ("safestream_age_flips_total", "counter", (),
               "Those of them that one of the two lets pass a gate, and the other does not.")
    STOPPED = ("safestream_age_candidate_stopped", "gauge", (),
               "1 where the candidate decides for nobody, because it changed more than the pack allows.")
    FOLDED = ("safestream_ledger_inputs_total", "counter", ("topic", "outcome"),
              "Records the ledger settled: applied, repeated, nobody (about no account), dead_letter, skipped, lost.")
    ACCOUNT_ACTIONS = ("safestream_account_actions_total", "counter", ("action",),
                       "Account actions the ledger published: begun, changed, ended, told again.")
    LEDGER_LAG = ("safestream_ledger_lag_records", "gauge", ("topic", "partition"),
                  "Records of a partition in the ledger's hands that it has not read yet. Set about once a second.")
    RESTORING = ("safestream_ledger_restoring", "gauge", (),
                 "1 while the ledger restores account states, before it goes on with inputs.")
    # fmt: on

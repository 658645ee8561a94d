"""Kafka's errors, folded into ours by what the caller does next."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import Abortable, Fatal, Fenced, Retriable, SafestreamError

# Another member or producer runs under our name.
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)
# No restart and no retry helps: an operator must.
_MISCONFIGURED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


# They pass, though `KafkaError.retriable()` only knows those of transactions.
_PASSING: Final = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._WAIT_COORD,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)


def error_of(raised: KafkaException) -> KafkaError:
    """The KafkaError inside a KafkaException."""
    error = raised.args[0]
    assert isinstance(error, KafkaError)
    return error


def translate(error: KafkaError, doing: str) -> SafestreamError:
    """The error of ours that says what to do about `error`, met while `doing`."""
    text = f"{doing}: {error.str()} ({error.name()})"
    if error.code() in _MISCONFIGURED:
        return Fatal(text)
    if error.code() in _FENCED and error.fatal():
        return Fenced(f"{text}: another worker runs under this slot")
    if (error.retriable() or error.code() in _PASSING) and not error.txn_requires_abort():
        return Retriable(text)
    return Abortable(text)

"""Whose replay it is: believed with our signature over just these facts, and never otherwise."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import headers
from stream.replay import Headers, Replay, replay_of, signature

KEY = b"a key that only tests use"
ORIGIN = f"{'0f' * 16}/2/17"

values = st.none() | st.binary(max_size=60)
attempts = st.integers(1, 10)


def carried(origin: str, attempt: int, proof: str) -> list[tuple[str, bytes | None]]:
    ours = {headers.ORIGIN: origin, headers.ATTEMPT: attempt, headers.REPLAY_SIGNATURE: proof}
    return [("traceparent", b"00-1"), *((name, str(text).encode()) for name, text in ours.items())]


@given(attempts, values)
def test_what_we_signed_is_believed(attempt: int, value: bytes | None) -> None:
    found = carried(ORIGIN, attempt, signature(KEY, ORIGIN, attempt, value))
    assert replay_of(found, value, KEY) == (Replay(ORIGIN, attempt), False)


@given(attempts, values, attempts, values, st.sampled_from([ORIGIN, ORIGIN + "0", "elsewhere"]))
def test_a_signature_is_of_one_origin_attempt_and_value(
    attempt: int, value: bytes | None, other: int, another: bytes | None, origin: str
) -> None:
    """None and empty bytes are two values."""
    assume((attempt, value, ORIGIN) != (other, another, origin))
    found = carried(origin, other, signature(KEY, ORIGIN, attempt, value))
    assert replay_of(found, another, KEY) == (None, True)


@pytest.mark.parametrize("key", [None, b"another key of sixteen"])
def test_without_our_key_nothing_is_believed(key: bytes | None) -> None:
    found = carried(ORIGIN, 1, signature(KEY, ORIGIN, 1, b"value"))
    assert replay_of(found, b"value", key) == (None, True)


def test_headers_that_claim_nothing_claim_nothing() -> None:
    assert replay_of([], b"value", KEY) == (None, False)
    assert replay_of([("traceparent", b"00-1"), ("empty", None)], b"value", KEY) == (None, False)


def test_an_attempt_without_a_signature_is_a_claim() -> None:
    assert replay_of([(headers.ATTEMPT, b"3")], b"value", KEY) == (None, True)


texts = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace"))


@given(st.lists(st.tuples(st.sampled_from([headers.ORIGIN, headers.ATTEMPT, headers.REPLAY_SIGNATURE]), texts)))
def test_whatever_a_producer_writes_there_is_answered(found: Headers) -> None:
    """Bytes that are no text, text that is no number, signatures outside ASCII: no exception, no belief."""
    replay, _ = replay_of(found, b"value", KEY)
    assert replay is None


@pytest.mark.parametrize("proof", ["é" * 64, "", "0" * 64, "zz"])
def test_a_wrong_signature_is_a_claim_that_is_not_believed(proof: str) -> None:
    assert replay_of(carried(ORIGIN, 1, proof), b"value", KEY) == (None, True)

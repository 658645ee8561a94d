"""Keys go to the partitions that Java's clients send them to."""

from hypothesis import given
from hypothesis import strategies as st

from stream.murmur2 import partitions_of

# What Java's Utils.murmur2 gives: org.apache.kafka.common.utils.UtilsTest.testMurmur2.
GOLDEN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
MANY = 2**31 - 1  # as many partitions as there are positive hashes but one: the hash itself, as it were


def murmur2(data: bytes) -> int:
    """org.apache.kafka.common.utils.Utils.murmur2, line by line; unsigned."""
    mask, m, r = 0xFFFFFFFF, 0x5BD1E995, 24
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> r) * m & mask
        h = h * m & mask ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition(key: bytes, count: int) -> int:
    """BuiltInPartitioner.partitionForKey."""
    return (murmur2(key) & 0x7FFFFFFF) % count


def test_the_reference_and_the_columns_give_javas_values() -> None:
    assert {key: murmur2(key) for key in GOLDEN} == {key: value & 0xFFFFFFFF for key, value in GOLDEN.items()}
    keys = list(GOLDEN)
    assert partitions_of(keys, MANY).tolist() == [(GOLDEN[key] & 0x7FFFFFFF) % MANY for key in keys]


@given(st.lists(st.binary(max_size=70)), st.integers(1, 1000))
def test_a_batch_of_keys_of_any_lengths_is_partitioned_as_one_by_one(keys: list[bytes], count: int) -> None:
    assert partitions_of(keys, count).tolist() == [partition(key, count) for key in keys]


@given(st.lists(st.text(max_size=40), min_size=1), st.integers(1, 50))
def test_a_partition_is_one_of_those_there_are(accounts: list[str], count: int) -> None:
    found = partitions_of([account.encode() for account in accounts], count)
    assert found.min() >= 0
    assert found.max() < count

"""The store of accounts' states: what was written is there, the newer row wins, and what can't be kept is said."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream.account_store
from schemas.errors import Fatal, UserMistake
from stream.account_store import AccountStore, Read

rows = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c" * 5000]), st.none() | st.binary(min_size=1, max_size=3)))


def join(kept: bytes | None, value: bytes) -> bytes:
    """Greater bytes are newer; those that begin with a zero nobody can read."""
    if value[0] == 0:
        raise ValueError("of a newer Safestream")
    return value if kept is None else max(kept, value)


@pytest.fixture(scope="module")
def store() -> Iterator[AccountStore]:
    with TemporaryDirectory() as folder:
        opened = AccountStore(Path(folder) / "states", 2, join)
        yield opened
        opened.close()


@given(told=rows, cut=st.integers(0, 10))
@settings(max_examples=60, deadline=None)
def test_the_newest_state_of_each_account_is_kept_whatever_the_batches(
    store: AccountStore, told: list[tuple[bytes, bytes | None]], cut: int
) -> None:
    """One after the other, the next only if it is newer; after a tombstone anything; another partition is untouched."""
    expected: dict[bytes, bytes | None] = {}
    for account, value in told:
        kept = expected.get(account)
        expected[account] = value if value is None or value[0] == 0 else join(kept, value)
    store.forget(0)
    for number, batch in enumerate((told[:cut], told[cut:])):
        values: dict[bytes, list[bytes | None]] = {}
        for account, value in batch:
            values.setdefault(account, []).append(value)
        store.write(0, values, Read("topic", number, 7))
    accounts = [b"a", b"b", b"c" * 5000, b"d"]
    assert store.get(accounts, [0] * 4) == [expected.get(account) for account in accounts]
    assert store.get(accounts, [1] * 4) == [None] * 4
    assert (store.read(0), store.read(1)) == (Read("topic", 1, 7), None)


def test_a_store_outlives_its_process_and_a_full_disk_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.account_store, "_MAP_BYTES", 2**17)
    first = AccountStore(tmp_path, 1, join)
    first.write(0, {b"a": [b"1"]}, Read("topic", 1, 7))
    first.close()
    again = AccountStore(tmp_path, 1, join)
    much = {b"%d" % number: [os.urandom(400)] for number in range(5000)}
    with pytest.raises(Fatal, match="make room"):
        again.write(0, much, Read("topic", 5001, 7))
    assert (again.get([b"a", b"7"], [0, 0]), again.read(0)) == ([b"1", None], Read("topic", 1, 7))
    again.close()


def test_a_folder_that_can_not_hold_states_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.mdb").write_bytes(b"no store" * 2000)
    for name in ("file", "other"):
        with pytest.raises(UserMistake, match=f"{name}: can't keep accounts' states here: .*worker.state_folder"):
            AccountStore(tmp_path / name, 1, join)

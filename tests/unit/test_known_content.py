"""Known content: exact results, banks that only their keeper can change, and matches that never quote."""

import base64
import hashlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detectors.items import Items
from detectors.known.banks import BadBank, read_bank, signature_of, write_bank
from detectors.known.detector import KnownContentDetector, build
from detectors.known.index import FARTHEST, HashIndex
from detectors.known.pdq import pdq
from schemas.attachments import Attachment
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()

# Of facebook/threatexchange's reference implementation (pdqhash 0.2.8), for `picture(width, height, seed)`.
GOLDEN = {
    (64, 64, 0): "7caadd7ab25306d81db3fb2a1646f0fac7dab81605067d1d817e7ea42120bb44",
    (100, 80, 1): "b3de3aad774aa9dc17aa2d4dfadac51a2b18d638807a6ff1a9a05652515226a4",
    (128, 128, 2): "b771266448e5dce730f9e3ea83e21fc1ffc60700fe8979036e0d97486886c1ab",
    (200, 300, 3): "e809e07ff253e85a2024a0adb0b5e16bc9495a5b5a5bc16db5a5b58c98de76d2",
    (512, 512, 4): "39c6b4f286b1c22c0b09f4ada673ce123c9634c63dd36c7ed32dcb0cc25e17b1",
    (33, 50, 5): "8bc62f4cd94cb2cb4feb1f18f05281b7fe4290934fa658945cb626dceb685905",
}


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A picture that any machine draws alike: integer arithmetic only."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    pixels = np.stack([(x * (3 + seed + c) + y * (5 + 2 * c) + x * y // (7 + seed)) % 256 for c in range(3)], axis=-1)
    for k in range(6):
        x0, y0 = (37 * (k + 1) * (seed + 1)) % width, (53 * (k + 2)) % height
        pixels[y0 : y0 + height // 4, x0 : x0 + width // 3] = [(40 * k + c * 70) % 256 for c in range(3)]
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize(("shape", "expected"), GOLDEN.items())
def test_pdq_is_that_of_the_reference_implementation(shape: tuple[int, int, int], expected: str) -> None:
    bits, _ = pdq(picture(*shape))
    assert bits.tobytes().hex() == expected


def test_pdq_hardly_changes_with_size_and_quality() -> None:
    original = picture(400, 300, 7)
    bits, quality = pdq(original)
    assert quality == 100
    for changed in (original.resize((200, 150)), original.resize((1600, 1200)), saved(original, "JPEG", quality=50)):
        assert np.bitwise_count(bits ^ pdq(changed)[0]).sum() <= FARTHEST
    assert np.bitwise_count(bits ^ pdq(picture(400, 300, 8))[0]).sum() > 90
    assert pdq(Image.new("RGB", (300, 200), "white"))[1] < 50


def saved(image: Image.Image, form: str, **how: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, form, **how)
    return Image.open(file).convert("RGB")


@given(st.integers(0, 2**32), st.integers(0, FARTHEST), st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_the_index_finds_what_a_scan_finds(seed: int, distance: int, count: int) -> None:
    """Also where many hashes lie close together, at any distance to the limit."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    hashes[: count // 2] = hashes[0]
    for row in hashes[: count // 2]:
        flip(row, rng.choice(256, rng.integers(0, 60), replace=False))
    query = hashes[0].copy()
    flip(query, rng.choice(256, distance, replace=False))
    found, apart = HashIndex(hashes).within(query, distance)
    scanned = np.bitwise_count(hashes ^ query).sum(axis=1, dtype=np.int64)
    assert sorted(found.tolist()) == np.flatnonzero(scanned <= distance).tolist()
    assert apart.tolist() == sorted(scanned[found].tolist())


def flip(row: np.ndarray[Any, Any], bits: np.ndarray[Any, Any]) -> None:
    for bit in bits.tolist():
        row[bit // 8] ^= 1 << (bit % 8)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def event(*files: bytes, role: str = "image") -> Items:
    """One event with these attachments."""
    uris = [f"data:;base64,{base64.b64encode(data).decode()}" for data in files]
    return Items(["a text"], [""], [tuple(Attachment(role, uri) for uri in uris)])


def bank(path: Path, *hashes: bytes, kind: str = "pdq", category: str = "sexual", **options: Any) -> dict[str, Any]:
    write_bank(path, path.stem, kind, category, hashes, KEY)
    return {"file": str(path), "public_key": PUBLIC.hex()} | options


def detector(*banks: dict[str, Any]) -> KnownContentDetector:
    made = build({"banks": list(banks)})
    made.warm()
    return made


def nowhere(_: int) -> None:
    pass


def test_exact_and_near_matches_name_bank_hash_and_distance(tmp_path: Path) -> None:
    known, other = picture(300, 300, 1), picture(300, 300, 2)
    file = b"an exact file"
    near = bank(tmp_path / "near", pdq(known)[0].tobytes())
    exact = bank(tmp_path / "exact", hashlib.sha256(file).digest(), kind="sha256", category="violent_crimes")
    found = detector(near, exact)
    changed = png(saved(known.resize((200, 200)), "JPEG", quality=60))
    answer = found.score(event(png(other), changed), nowhere)
    assert answer.probability.tolist() == [[1.0, 0.0]]
    (evidence,) = answer.evidence[0]
    assert (evidence.attachment, evidence.frame, evidence.category) == (1, 0, "sexual")
    assert evidence.hash == pdq(known)[0].tobytes().hex()
    assert evidence.distance is not None
    assert 0 < evidence.distance <= FARTHEST
    assert evidence.bank is not None
    assert evidence.bank.startswith("near@")
    answer = found.score(event(file, role="audio"), nowhere)
    assert answer.probability.tolist() == [[0.0, 1.0]]
    assert answer.evidence[0][0].distance == 0


def test_a_bank_has_its_own_distance(tmp_path: Path) -> None:
    bits = pdq(picture(300, 300, 1))[0].copy()
    flip(bits, np.arange(20))
    hashed = bits.tobytes()
    narrow = bank(tmp_path / "narrow", hashed, distance=19)
    wide = bank(tmp_path / "wide", hashed, distance=20, category="hate")
    answer = detector(narrow, wide).score(event(png(picture(300, 300, 1))), nowhere)
    assert answer.probability.tolist() == [[0.0, 1.0]]


def test_the_action_ratio_is_a_share_of_the_hashes_and_always_the_same(tmp_path: Path) -> None:
    files = [b"file %d" % i for i in range(300)]
    hashes = [hashlib.sha256(each).digest() for each in files]
    found = detector(bank(tmp_path / "new", *hashes, kind="sha256", action_ratio=0.3))
    acts = [found.score(event(each), nowhere).probability[0, 0] for each in files[:150]]
    assert 25 < sum(acts) < 65
    assert acts == [found.score(event(each), nowhere).probability[0, 0] for each in files[:150]]
    silent = found.score(event(files[acts.index(0.0)]), nowhere)
    assert silent.evidence[0][0].score == 0.0  # seen, and said


def test_a_new_file_counts_without_a_restart_and_a_forged_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    found = detector(bank(path, hashlib.sha256(b"one").digest(), kind="sha256"))
    assert found.score(event(b"two"), nowhere).probability[0, 0] == 0
    bank(path, hashlib.sha256(b"two").digest(), kind="sha256")
    found._looked = 0.0  # two seconds later
    assert found.score(event(b"two"), nowhere).probability[0, 0] == 1
    write_bank(path, "bank", "sha256", "sexual", [hashlib.sha256(b"three").digest()], Ed25519PrivateKey.generate())
    found._looked = 0.0
    answer = found.score(
        Items(["", ""], ["", ""], [event(b"two").attachments[0], event(b"three").attachments[0]]), nowhere
    )
    assert answer.probability[:, 0].tolist() == [1, 0]
    path.unlink()
    found._looked = 0.0
    assert found.score(event(b"two"), nowhere).probability[0, 0] == 1


def known(found: KnownContentDetector, *files: bytes) -> list[float]:
    """Two seconds later: whether each file is known."""
    found._looked = 0.0
    return [float(found.score(event(each), nowhere).probability[0, 0]) for each in files]


def exact_bank(path: Path, file: bytes) -> dict[str, Any]:
    return bank(path, hashlib.sha256(file).digest(), kind="sha256")


@pytest.mark.parametrize("late", ["bank", "bank.sig"])
def test_bank_and_signature_may_arrive_in_either_order(
    tmp_path: Path, late: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the two it is refused, which is said once."""
    found = detector(exact_bank(tmp_path / "bank", b"one"))
    (tmp_path / "new").mkdir()
    exact_bank(tmp_path / "new" / "bank", b"two")
    for name in sorted(["bank", "bank.sig"], key=lambda each: each == late):
        assert known(found, b"one", b"two") == [1, 0]
        assert known(found, b"one", b"two") == [1, 0]
        (tmp_path / "new" / name).replace(tmp_path / name)
    assert known(found, b"one", b"two") == [0, 1]
    assert [record.message.startswith("bank refused") for record in caplog.records] == [True]


def test_a_bank_that_could_not_be_read_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    found = detector(exact_bank(path, b"one"))
    exact_bank(path, b"two")
    path.rename(tmp_path / "away")
    assert known(found, b"one", b"two") == [1, 0]
    (tmp_path / "away").rename(path)
    assert known(found, b"one", b"two") == [0, 1]


def test_an_older_bank_is_refused_while_a_newer_one_is_in_use(tmp_path: Path) -> None:
    """Though its signature is good. A bank of before there was a date counts as the oldest."""
    path = tmp_path / "bank"
    exact_bank(path, b"one")
    old = path.read_bytes(), signature_of(path).read_bytes()
    time.sleep(0.002)
    found = detector(exact_bank(path, b"two"))
    path.write_bytes(old[0])
    signature_of(path).write_bytes(old[1])
    assert known(found, b"one", b"two") == [0, 1]
    exact_bank(path, b"one")
    assert known(found, b"one", b"two") == [1, 0]
    assert known(detector(undated(path, b"two")), b"two") == [1]


def undated(path: Path, file: bytes) -> dict[str, Any]:
    header = {"format": 1, "name": "bank", "kind": "sha256", "category": "sexual", "count": 1}
    content = json.dumps(header).encode() + b"\n" + hashlib.sha256(file).digest()
    path.write_bytes(content)
    signature_of(path).write_bytes(KEY.sign(hashlib.sha256(content).digest()))
    return {"file": str(path), "public_key": PUBLIC.hex()}


def test_a_new_bank_is_taken_with_signs_of_life(tmp_path: Path) -> None:
    """However large it is: each part of its index is one."""
    path, hints = tmp_path / "bank", list[int]()
    found = detector(bank(path, pdq(picture(300, 300, 1))[0].tobytes()))
    bank(path, *map(os.urandom, [32] * 1000))
    found.score(event(b""), hints.append)
    quiet = len(hints)
    found._looked = 0.0
    bank(path, *map(os.urandom, [32] * 1000))
    found.score(event(b""), hints.append)
    assert len(hints) - quiet >= quiet + 16


def test_so_many_attachments_are_looked_at_and_no_more(tmp_path: Path) -> None:
    """A match among them stands; the rest can't be called unknown."""
    options = exact_bank(tmp_path / "bank", b"bad") | {}
    found = build({"banks": [options], "max_attachments": 2})
    files = [b"a", b"b", b"bad"]
    outcomes = [found.score(event(*each, role="audio"), nowhere) for each in (files, files[::-1], [b"a"] * 40)]
    assert [int(each.status[0]) for each in outcomes] == [Status.error, Status.scored, Status.scored]
    assert [float(each.probability[0, 0]) for each in outcomes[1:]] == [1, 0]


def test_damaged_and_unsigned_banks_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    options = bank(path, os.urandom(32), os.urandom(32))
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b"", content + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(BadBank, match="signature"):
            read_bank(path, PUBLIC)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadBank, match="no ordinary file"):
        read_bank(path, PUBLIC)
    path.unlink()
    path.write_bytes(content)
    signature_of(path).unlink()
    with pytest.raises(UserMistake, match=r"bank\.sig: can't be read"):
        build({"banks": [options]})


@pytest.mark.parametrize(
    "options",
    [{}, {"banks": []}, {"banks": [{"file": "x"}]}, {"banks": [{"file": "x", "public_key": "z"}]}, {"bank": []}],
)
def test_wrong_options_are_a_users_mistake(options: dict[str, Any]) -> None:
    with pytest.raises(UserMistake, match=r"^banks?\b"):
        build(options)


def test_a_file_that_is_no_image_is_known_by_its_bytes(tmp_path: Path) -> None:
    """The exact match stands, although the perceptual bank could not look."""
    exact = bank(tmp_path / "exact", hashlib.sha256(b"no image").digest(), kind="sha256", category="hate")
    near = bank(tmp_path / "near", pdq(picture(300, 300, 1))[0].tobytes())
    answer = detector(exact, near).score(event(b"no image"), nowhere)
    assert answer.status[0] == Status.scored
    assert answer.probability[0].tolist() == [1.0, 0.0]


def test_what_cannot_be_read_is_an_error_of_its_own_row(tmp_path: Path) -> None:
    found = detector(bank(tmp_path / "bank", pdq(picture(300, 300, 1))[0].tobytes()))
    good = event(png(picture(300, 300, 1))).attachments[0]
    bad = event(b"no image").attachments[0]
    absent = (Attachment("image", "https://nowhere.example/x"),)
    answer = found.score(Items([""] * 3, [""] * 3, [bad, good, absent]), nowhere)
    assert answer.status.tolist() == [Status.error, Status.scored, Status.error]
    assert answer.reason.tolist() == [Reason.media, Reason.none, Reason.media]
    assert answer.probability[1, 0] == 1


def test_a_million_hashes_are_searched_exactly() -> None:
    """The size that the index is made for; how long it takes is for the benchmark to say."""
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 256, (1_000_000, 32), dtype=np.uint8)
    index, began = HashIndex(hashes), time.monotonic()
    for place in rng.integers(0, len(hashes), 20).tolist():
        query = hashes[place].copy()
        flip(query, rng.choice(256, FARTHEST, replace=False))
        assert index.within(query, FARTHEST)[0].tolist() == [place]
    print(f"{(time.monotonic() - began) / 20 * 1000:.2f} ms a query")

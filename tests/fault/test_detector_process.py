"""Detectors that really crash, hang, raise and eat memory, in a real detector process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from detectors.interface import DetectorSpec, ProcessSettings
from schemas.attachments import Attachment
from schemas.columns import Scores
from schemas.errors import Fatal, Overloaded, UserMistake
from schemas.statuses import Reason, Status
from tests.event_columns import events
from tests.fault.memory_cgroup import memory_cgroup
from tests.fault.scoring import Start, collect, detector_processes, score, texts, tripwire, wait_until, zygote
from tests.fault.tripwire import AWAY, EVIDENCE, MALFORMED, probability

ROOT = Path(__file__).parents[2]
PREAMBLE = """
import sys
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
"""
REASONS = {
    "raise": Reason.raised,
    "system-exit": Reason.raised,
    "segv": Reason.crashed,
    "null-pointer": Reason.crashed,
    "abort": Reason.crashed,
    "exit": Reason.crashed,
    "memory": Reason.memory,
    "spin": Reason.hung,
    "sleep": Reason.hung,
    "nan": Reason.not_a_number,
    "infinity": Reason.not_a_number,
    "over-one": Reason.not_a_number,
}


def assert_only_guilty_failed(scores: Scores, said: list[str], guilty: dict[int, Reason], detector: int = 0) -> None:
    """Each guilty row has its reason; every other row has just the score it would have without them."""
    found = {row: Reason(scores.reason[row, detector]) for row in np.flatnonzero(scores.status[:, detector])}
    assert found == guilty
    assert (scores.status[list(guilty), detector] == Status.error).all()
    assert np.isnan(scores.probability[list(guilty)]).all()
    innocent = [row for row in range(len(said)) if row not in guilty]
    wanted = np.array([(probability(said[row]), 1 - probability(said[row])) for row in innocent], np.float32)
    np.testing.assert_array_equal(scores.probability[innocent], wanted.reshape(-1, 2))


@pytest.mark.parametrize("how", REASONS)
def test_guilty_rows_get_an_error_and_their_neighbours_are_scored_as_if_they_were_not_there(start: Start, how: str):
    said = texts(200, {0: how, 61: how, 62: how, 199: how})
    client = start()
    scores = score(client, events(said))
    assert_only_guilty_failed(scores, said, dict.fromkeys([0, 61, 62, 199], REASONS[how]))
    assert {reason: n for reason, n in client.counts.convictions.items() if n} == {REASONS[how]: 4}


@pytest.mark.parametrize("hints", ["8", "none", "lying"])
@pytest.mark.parametrize("how", ["raise", "segv", "sleep"])
def test_the_guilty_row_is_found_with_coarse_absent_and_wrong_hints(start: Start, how: str, hints: str):
    said = texts(40, {21: how})
    scores = score(start(tripwire(hints=hints)), events(said))
    assert_only_guilty_failed(scores, said, {21: REASONS[how]})


def test_every_kind_of_guilt_in_one_batch_and_results_come_in_submit_order(start: Start):
    guilty = {20 * place: how for place, how in enumerate(REASONS)}
    said = texts(300, guilty)
    client = start()
    client.submit(7, events(said))
    client.submit(8, events(texts(10)))
    client.submit(9, events(texts(10, {3: "raise"})))
    assert_only_guilty_failed(collect(client, 7), said, {row: REASONS[how] for row, how in guilty.items()})
    assert_only_guilty_failed(collect(client, 8), texts(10), {})
    assert_only_guilty_failed(collect(client, 9), texts(10, {3: "raise"}), {3: Reason.raised})


def test_a_batch_of_nothing_but_guilty_rows_is_answered(start: Start):
    said = texts(12, dict.fromkeys(range(12), "segv"))
    assert_only_guilty_failed(score(start(), events(said)), said, dict.fromkeys(range(12), Reason.crashed))


def test_a_slow_row_is_suspected_and_acquitted(start: Start):
    said = texts(50, {20: "slow"})
    client = start(tripwire(), settings=ProcessSettings(deadline_ms=5000))
    score(client, events(texts(2000)))  # it has shown how fast it is
    assert_only_guilty_failed(score(client, events(said)), said, {})
    assert client.counts.acquittals == 1


def test_one_detector_fails_at_a_row_that_another_scores(start: Start):
    said = texts(30, {4: "segv", 9: "raise"})
    scores = score(start(tripwire(), DetectorSpec("lexicon")), events(said))
    assert scores.detectors == ("tripwire", "lexicon")
    assert {row: Reason(scores.reason[row, 0]) for row in np.flatnonzero(scores.status[:, 0])} == {
        4: Reason.crashed,
        9: Reason.raised,
    }
    assert (scores.status[:, 1] == Status.scored).all()
    assert not np.isnan(scores.probability[:, 2:]).any()


def test_rows_without_text_are_skipped_and_worn_rows_are_not_tried(start: Start):
    client = start()
    scores = score(client, events(["", "text", "TRIP:segv"], attempts=[0, 2, 3]))
    assert scores.status[:, 0].tolist() == [Status.skipped, Status.scored, Status.error]
    assert scores.reason[:, 0].tolist() == [Reason.none, Reason.none, Reason.attempts]
    assert client.restarts == 0


@pytest.mark.parametrize("how", sorted(MALFORMED))
def test_a_row_that_leads_to_a_malformed_answer_is_guilty(start: Start, how: str):
    said = texts(60, {0: how, 31: how})
    scores = score(start(), events(said))
    assert_only_guilty_failed(scores, said, {0: Reason.raised, 31: Reason.raised})


def test_reasons_and_evidence_arrive_with_their_rows(start: Start):
    said = [*texts(40), "SAY:media", "SAY:language", "SAY:evidence", "", "SAY:evidence"]
    scores = score(start(DetectorSpec("lexicon"), tripwire()), events(said))
    assert (scores.status[40:, 1].tolist(), scores.reason[40:, 1].tolist()) == (
        [Status.error, Status.abstained, Status.scored, Status.skipped, Status.scored],
        [Reason.media, Reason.language, Reason.none, Reason.none, Reason.none],
    )
    assert np.isnan(scores.probability[40:42, 3:]).all()
    assert {cell: list(found) for cell, found in scores.evidence.items()} == {(42, 1): [EVIDENCE], (44, 1): [EVIDENCE]}


def test_a_detector_gets_what_it_reads_and_a_guilty_attachment_is_found(start: Start):
    image, harmful = (Attachment("image", "data:,x"),), (Attachment("image", "s3://b/TRIP:segv"),)
    audio = (Attachment("audio", "TRIP:segv"),)
    client = start(tripwire(name="pictures", modalities=["image"]), tripwire())
    batch = events(["", "a", "", "b", ""], attachments=[image, (), audio, harmful, ()])
    scores = score(client, batch)
    skipped, scored, error = Status.skipped, Status.scored, Status.error
    assert scores.status[:, 0].tolist() == [scored, skipped, skipped, error, skipped]
    assert scores.status[:, 1].tolist() == [skipped, scored, skipped, error, skipped]
    assert scores.reason[3].tolist() == [Reason.crashed, Reason.crashed]


def test_a_detector_is_called_what_the_configuration_calls_it(start: Start):
    """So that one kind can be configured twice, and policy finds each under its own name."""
    plain = {"precision": "float32", "device": "cpu"}
    specs = (
        DetectorSpec("text", plain),
        DetectorSpec("short", plain | {"token_budget": 256}, "detectors.text.detector:build"),
    )
    client = start(
        *specs, settings=ProcessSettings(), ask=lambda said, _: np.ones((len(said), 1), bool), later=["short"]
    )
    said = score(client, events(["what a day", "you idiot"]))
    assert (client.names, said.detectors) == (("text", "short"), ("text", "short"))
    half = len(said.columns) // 2
    assert [column.detector for column in said.columns] == ["text"] * half + ["short"] * half
    np.testing.assert_allclose(said.probability[:, :half], said.probability[:, half:], atol=1e-4)


def test_an_empty_batch_comes_back_in_its_turn(start: Start):
    client = start()
    client.submit(1, events(texts(500)))
    client.submit(2, events([]))
    assert len(collect(client, 1)) == 500
    assert len(collect(client, 2)) == 0


def test_submit_beyond_the_capacity_is_refused_and_nothing_is_lost(start: Start):
    client = start(tripwire(ms_per_event=1))
    for number in range(3):
        client.submit(number, events(texts(50)))
    assert client.room == 0
    with pytest.raises(Overloaded):
        client.submit(3, events(texts(1)))
    for number in range(3):
        assert_only_guilty_failed(collect(client, number), texts(50), {})
    assert client.room == 3


def test_after_discard_nothing_of_before_comes_back_and_numbers_may_repeat(start: Start):
    client = start(tripwire(ms_per_event=1))
    client.submit(1, events(texts(300, {5: "sleep"})))
    client.submit(2, events(texts(300)))
    client.discard()
    assert client.room == 3
    said = texts(20, {7: "raise"})
    client.submit(1, events(said))
    assert_only_guilty_failed(collect(client, 1), said, {7: Reason.raised})
    assert client.collect(0.2) is None


def test_submit_does_not_wait_for_a_process_that_reads_nothing(start: Start):
    client = start()
    client.submit(1, events(["TRIP:sleep"]))
    huge = events(["x" * 1_000_000] * 20)
    began = time.monotonic()
    client.submit(2, huge)
    assert time.monotonic() - began < 0.1
    assert collect(client, 1).reason[0, 0] == Reason.hung
    assert (collect(client, 2).status == Status.scored).all()


# --- the device at fault


@contextmanager
def broken_device(path: Path, how: str) -> Iterator[None]:
    path.write_text(how, encoding="utf-8")
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize("how", ["raise", "segv", "nan"])
def test_a_broken_device_blames_no_record_and_comes_back(start: Start, tmp_path: Path, how: str):
    device = tmp_path / "broken"
    client = start(tripwire(broken=str(device)), DetectorSpec("lexicon"))
    said = texts(60, {30: "raise"})
    with broken_device(device, how):
        scores = score(client, events(said))
        assert (scores.reason[:, 0] == Reason.device).all()
        assert (scores.status[:, 1] == Status.scored).all()  # the other detector goes on
        assert not client.healthy
        began = time.monotonic()
        assert (score(client, events(said)).reason[:, 0] == Reason.device).all()
        assert time.monotonic() - began < 0.5  # an open breaker answers at once
        assert not any(client.counts.convictions.values())
    wait_until(lambda: client.healthy, 10)
    assert_only_guilty_failed_first(score(client, events(said)), said, {30: Reason.raised})


def assert_only_guilty_failed_first(scores: Scores, said: list[str], guilty: dict[int, Reason]) -> None:
    found = {row: Reason(scores.reason[row, 0]) for row in np.flatnonzero(scores.status[:, 0])}
    assert found == guilty
    assert len(scores) == len(said)


def test_each_broken_device_comes_back_by_itself(start: Start, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    client = start(tripwire(name="one", broken=str(one)), tripwire(name="two", broken=str(two)))
    said = texts(30)
    with broken_device(two, "segv"):
        with broken_device(one, "raise"):
            assert (score(client, events(said)).reason == Reason.device).all()
            time.sleep(2)  # both have been probed, in vain
        wait_until(lambda: not score(client, events(said)).reason[:, 0].any(), 20)
        assert (score(client, events(said)).reason[:, 1] == Reason.device).all()
        assert not client.healthy
    wait_until(lambda: client.healthy, 20)
    assert not score(client, events(said)).reason.any()
    assert client.counts.breaker_openings == 2
    assert not any(client.counts.convictions.values())


def test_a_record_that_corrupts_its_process_is_guilty_and_the_device_is_not(start: Start):
    said = texts(80, {11: "raise", 12: "raise"})
    client = start(tripwire(sticky=True))
    assert_only_guilty_failed(score(client, events(said)), said, {11: Reason.raised, 12: Reason.raised})
    assert client.counts.breaker_openings == 0


def test_a_detector_that_fails_its_first_canary_does_not_start(start: Start, tmp_path: Path):
    device = tmp_path / "broken"
    with broken_device(device, "raise"), pytest.raises(Fatal, match=r"tripwire.*ValueError at tripwire\.py:\d+"):
        start(tripwire(broken=str(device)))


def test_a_factory_that_fails_is_told_in_one_line(start: Start):
    with pytest.raises(Fatal, match=r"detector 'tripwire'.*FileNotFoundError.*model\.safetensors"):
        start(DetectorSpec("tripwire", {}, "tests.fault.tripwire:refuse"))
    with pytest.raises(UserMistake, match="left 1 threads running"):
        start(DetectorSpec("tripwire", {}, "tests.fault.tripwire:start_thread"))
    with pytest.raises(UserMistake, match="no detector is called 'lexicorn'"):
        start(DetectorSpec("lexicorn"))
    with pytest.raises(UserMistake, match="can't import its factory"):
        start(DetectorSpec("x", {}, "no.such.module:build"))


# --- processes killed by others


def test_the_kernels_out_of_memory_killer_takes_the_child_and_the_record_is_guilty():
    """A real one: worker and detectors together may have 400 MB, and our own limit is out of reach."""
    said = texts(60, {30: "memory"})
    program = (
        PREAMBLE
        + f"""
from detectors.runtime.client import DetectorClient
from detectors.interface import DetectorSpec, ProcessSettings
from tests.event_columns import events
spec = DetectorSpec("tripwire", {{}}, "tests.fault.tripwire:build")
client = DetectorClient([spec], ProcessSettings(deadline_ms=30_000, memory_mb=100_000, trials=1))
client.start()
client.submit(1, events({said!r}))
number, scores = client.collect(120)
print(scores.status[:, 0].tolist(), scores.reason[:, 0].tolist(), client.restarts, flush=True)
client.close()
"""
    )
    with memory_cgroup(400 << 20) as group:
        output = subprocess.run(
            [sys.executable, "-c", program],
            preexec_fn=group.enter,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=True,
        ).stdout.decode()
        killed = group.kills()
    guilty = [row == 30 for row in range(60)]
    statuses, reasons = [Status.error * g for g in guilty], [Reason.memory * g for g in guilty]
    assert output.startswith(f"{[int(s) for s in statuses]} {[int(r) for r in reasons]} ")
    assert killed >= 2  # both trials; the first process may have been taken for hung before


def test_an_innocent_row_whose_process_is_killed_from_outside_is_scored(start: Start):
    client = start(tripwire(ms_per_event=2))
    said = texts(300)
    client.submit(1, events(said))
    for _ in range(3):
        time.sleep(0.15)
        newest_child(os.getpid()).kill()
    assert_only_guilty_failed(collect(client, 1), said, {})
    assert client.restarts >= 3


def test_the_zygote_is_replaced_when_it_is_killed(start: Start):
    client = start(tripwire(ms_per_event=2))
    said = texts(300, {150: "raise"})
    client.submit(1, events(said))
    time.sleep(0.2)
    zygote(os.getpid()).kill()
    assert_only_guilty_failed(collect(client, 1), said, {150: Reason.raised})


@pytest.mark.parametrize("how", ["raise", "sleep"])
def test_while_the_detectors_can_not_be_loaded_again_every_row_is_answered(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
):
    monkeypatch.setattr("detectors.runtime.pump._TROUBLE", 0.0)  # as if loading took longer than that
    loading = tmp_path / "loading"
    client = start(tripwire(loading=str(loading)), settings=ProcessSettings(deadline_ms=1000, start_seconds=6.0))
    with broken_device(loading, how):
        zygote(os.getpid()).kill()
        wait_until(lambda: not client.healthy, 5)
        assert (score(client, events(texts(20))).reason == Reason.device).all()
        assert not client.healthy
    wait_until(lambda: client.healthy, 30)
    assert_only_guilty_failed(score(client, events(texts(20))), texts(20), {})


def test_a_zygote_that_is_stuck_is_replaced(start: Start):
    client = start()
    stuck = zygote(os.getpid())
    scoring = stuck.children()
    stuck.suspend()
    for process in scoring:
        process.kill()
    assert_only_guilty_failed(score(client, events(texts(20))), texts(20), {})
    assert not stuck.is_running()


@pytest.mark.parametrize("how", ["idle", "hanging"])
def test_nothing_is_left_when_the_worker_is_killed(how: str):
    program = (
        PREAMBLE
        + f"""
import time
from detectors.runtime.client import DetectorClient
from detectors.interface import DetectorSpec
from tests.event_columns import events
client = DetectorClient([DetectorSpec("tripwire", {{}}, "tests.fault.tripwire:build")])
client.start()
if {how == "hanging"}:
    client.submit(1, events(["TRIP:spin"]))
time.sleep(0.3)
print("ready", flush=True)
time.sleep(60)
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, cwd=ROOT) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        left = detector_processes(worker.pid)
        assert len(left) >= 2
        worker.kill()
        worker.wait()
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive


def test_a_worker_that_was_stopped_does_not_take_its_own_absence_for_a_hang():
    program = (
        PREAMBLE
        + """
from detectors.runtime.client import DetectorClient
from detectors.interface import DetectorSpec, ProcessSettings
from tests.event_columns import events
spec = DetectorSpec("tripwire", {"ms_per_event": 5}, "tests.fault.tripwire:build")
client = DetectorClient([spec], ProcessSettings(deadline_ms=300))
client.start()
client.submit(1, events(["text"] * 200))
print("ready", flush=True)
number, scores = client.collect(60)
print(int(scores.status.sum()), client.restarts, flush=True)
client.close()
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, cwd=ROOT) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        worker.send_signal(signal.SIGSTOP)
        scoring = zygote(worker.pid).children()
        for process in scoring:  # as when a container is paused
            process.suspend()
        time.sleep(2)
        for process in scoring:
            process.resume()
        worker.send_signal(signal.SIGCONT)
        assert worker.stdout.read() == b"0 0\n"


def test_a_signal_from_the_terminal_does_not_reach_the_detectors(start: Start):
    client = start()
    for process in detector_processes(os.getpid()):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    assert_only_guilty_failed(score(client, events(texts(10))), texts(10), {})
    assert client.restarts == 0


def newest_child(worker: int) -> psutil.Process:
    return max(zygote(worker).children(), key=lambda p: p.memory_info().rss and p.cpu_times().user)


def test_a_server_that_is_away_keeps_no_worker_from_starting_and_is_asked_again(start: Start, tmp_path: Path):
    """Its events get an error, the other detector scores, and when it is back it scores too."""
    away = tmp_path / "away"
    away.write_text(AWAY, encoding="utf-8")
    client = start(tripwire("near"), tripwire("far", broken=str(away)))
    scores = score(client, events(texts(3)))
    assert scores.status.tolist() == [[Status.scored, Status.error]] * 3
    assert (scores.reason[:, 1] == Reason.device).all()
    away.unlink()
    wait_until(lambda: client.healthy, 60)
    assert (score(client, events(texts(3))).status == Status.scored).all()

"""From a profile to a gate: worker, age model, ledger, and the worker again, on a real broker."""

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import ACCOUNT_STATE, AUDIT, DECISIONS, PROFILE_SIGNALS
from stream.local_broker.ports import free_port
from tests.fault.avro import decode
from tests.fault.cluster import wait_until
from tests.fault.ledger.cluster import LedgerProcess, write_config
from tests.integration.test_account_states import PACK
from tests.pipeline import Pipeline, comments

pytestmark = pytest.mark.integration

SIGNALS: dict[str, dict[str, Any]] = {
    "adult": {"contacts_median_age": 38.0, "followers": 80, "following": 60, "account_age_days": 2000},
    "child": {"contacts_median_age": 12.0, "followers": 20, "following": 30, "account_age_days": 60},
    "nobody": {},
}


def test_what_a_profile_says_decides_who_may_write(pipeline: Pipeline, tmp_path: Path) -> None:
    """An adult may, a child and somebody unknown may not; no probability leaves the ledger."""
    folder, port = tmp_path / "pack", free_port()
    folder.mkdir()
    (folder / "pack.yaml").write_text(PACK % "age")
    changes: dict[str, Any] = {
        "policy": {"pack": str(folder)},
        "worker": {"state_folder": str(tmp_path / "worker"), "health_port": port},
        "detectors": {"age": {}},
    }
    (tmp_path / "ledger").mkdir()
    ledger = LedgerProcess(
        write_config(tmp_path / "ledger", pipeline.bootstrap, pipeline.group + "-ledger"),
        "0",
        tmp_path / "ledger.log",
    )
    try:
        pipeline.produce(profiles(), PROFILE_SIGNALS)
        worker = pipeline.worker(**changes)
        ledger.wait_ready()
        wait_until("the states are there", lambda: len(pipeline.read(ACCOUNT_STATE)) >= 2, 60, 0.2)
        time.sleep(1)  # the worker follows, without being asked
        written = [
            each | {"account_id": name, "surface": "arena"} for each, name in zip(comments(3), SIGNALS, strict=True)
        ]
        pipeline.produce(written)
        pipeline.wait_drained()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            assert b"safestream_account_states_behind_partitions 0.0" in page.read()
        assert worker.terminate()[0] == 0, worker.tail()
    finally:
        ledger.end()
    decided = [decode(m.value(), "decision") for m in pipeline.read(DECISIONS)]
    actions = {each["account_id"]: each["action"] for each in decided if each["content_type"] == "comments"}
    assert actions == {"adult": "allow", "child": "age_restrict", "nobody": "age_restrict"}
    leaves = [decode(m.value(), "leaf")["decision"] for m in pipeline.read(AUDIT)]
    read = [leaf["accounts"][0] for leaf in leaves if leaf and leaf["accounts"]]
    assert sorted(each["outcomes"][0]["outcome"] for each in read) == ["below", "reached", "unknown"]
    assert all(each["caught_up"] for each in read)


def profiles() -> Any:
    for number, (account, signals) in enumerate(SIGNALS.items()):
        now = time.time_ns() // 1_000_000
        ids = {"event_id": f"profile-{number}", "account_id": account, "content_id": f"profile-{number}"}
        yield ids | {"created_at": now} | signals

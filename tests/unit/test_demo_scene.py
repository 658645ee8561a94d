"""The demo's three accounts: what they show suits the bundled model, and each step waits for the one before."""

import time
from collections.abc import Sequence

from detectors.age.detector import DEFAULT_MODEL
from detectors.age.model import open_model
from detectors.age.table import table_of
from enforcement.ledger.settings import LedgerSettings
from safestream.demo_ages import Scene
from safestream.demo_detectors import reached_from
from safestream.demo_tally import Outcome, Sent, Tally
from safestream.demo_traffic import Ready, encode
from safestream.demo_view import sides, treated
from safestream.sample_ages import IN_SCENE, account_id, age_steps
from schemas import topics
from schemas.registry import open_registry
from tests.ledger_records import estimate
from tests.unit.test_ledger_fold import folded, placed

NOW = time.time_ns() // 1_000_000


def test_the_model_says_of_the_accounts_what_the_scene_needs() -> None:
    """Above and below the pack's gate, and never abstained from."""
    model, reached = open_model(DEFAULT_MODEL), reached_from()
    for step in age_steps():
        for event in step.events:
            if event.topic == topics.PROFILE_SIGNALS:
                said = model.predict(table_of({name: [cell] for name, cell in event.record.items()}))
                name = event.record["account_id"].removeprefix("account-")
                assert bool(said.reaching(16)[0] >= reached) is step.known[name]


def test_the_events_fit_their_schemas() -> None:
    events = [event for step in age_steps() for event in step.events]
    assert len(events) == IN_SCENE
    assert len({event.record["event_id"] for event in events}) == IN_SCENE
    assert all(encode(open_registry().latest(event.topic), event.record) for event in events)


def test_a_step_goes_out_once_when_the_ledger_knows_and_the_comments_are_decided() -> None:
    tally = Tally()
    scene = Scene(open_registry(), tally, 0.5)
    assert topics_of(scene.due(0.0)) == [topics.PROFILE_SIGNALS] * 2
    assert scene.due(9.0) == ()
    knows(scene, grown=35, young=12, other=35)
    assert scene.due(10.0) == scene.due(20.0) == ()
    knows(scene, young=20)
    assert scene.due(30.0) == ()  # a worker may not have it yet
    comments = scene.due(31.1)
    assert topics_of(comments) == [topics.COMMENTS] * 3
    assert scene.due(40.0) == ()
    for offset, each in enumerate(comments):
        tally.produced((each.topic, 0, offset), Sent(1.0, each.topic, each.text, None, each.kind))
        tally.became((each.topic, 0, offset), Outcome(2.0, action="allow", gates=("16 reached",)))
    assert scene.due(50.0) == ()
    assert topics_of(scene.due(51.1)) == [topics.PROFILE_SIGNALS] * 2
    knows(scene, young=12, quiet=35)
    assert scene.due(60.0) == ()
    assert not scene.over
    assert topics_of(scene.due(61.1)) == [topics.COMMENTS] * 3
    assert scene.over
    assert treated(tally.read()[0], "young") == ["allow (16 reached)"]
    assert sides(tally.read()[0], "young") == ["reached"]


def topics_of(ready: Sequence[Ready]) -> list[str]:
    return [each.topic for each in ready]


def knows(scene: Scene, **ages: float) -> None:
    """The ledger publishes states."""
    for name, age in ages.items():
        state = folded(placed([estimate(NOW, age)]), settings=LedgerSettings())
        scene.saw(account_id(name).encode(), state)


def test_an_erased_account_is_no_news() -> None:
    scene = Scene(open_registry(), Tally(), 0.5)
    scene.due(0.0)
    scene.saw(account_id("grown").encode(), None)
    assert scene.due(9.0) == ()

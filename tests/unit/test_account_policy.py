"""Rules about accounts: an unknown age is the stricter audience, a leaf holds what was read, a migration is guarded."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from enforcement.account_facts import AccountFacts, GateOutcome
from enforcement.accounts import MOST_RECIPIENTS, Accounts, bucket
from enforcement.conditions import Facts
from enforcement.decide import Policy, decide
from enforcement.explain import explain
from enforcement.flips import LEAST
from enforcement.judge import Judge
from enforcement.ledger.settings import LedgerSettings
from enforcement.located_yaml import Mistakes
from enforcement.pack_cases import run_cases
from enforcement.packs import Pack, load_pack
from safestream.cli import run
from schemas.errors import UserMistake
from schemas.statuses import Status
from tests.decided_batches import CLUSTER, COLUMNS, DECISION, LEAF, NOW_MS, SCHEMAS, events, scores, versions
from tests.ledger_records import START, Record, estimate, proven
from tests.unit.test_ledger_fold import folded, placed

PACK = """
name: ages
thresholds:
  spam: {value: 0.9}
rules:
  - id: under-16
    action: age_restrict
    reason: This surface is for people of 16 and over.
    when: {surface: [arena], author_age: {under: 16}}
  - id: adult-to-minor
    action: limit_reach
    reason: An adult can't write to a minor here.
    when: {content_type: [messages], author_age: {at_least: 18}, recipient_age: {under: 18}}
  - id: again
    action: label
    reason: This account was warned before.
    when: {strikes: {at_least: 2}}
  - id: spam
    category: spam
    threshold: spam
    action: remove
    reason: Spam.
    when: {author_age: {under: 13}}
hold: {deadline_hours: 1}
age:
  detector: age
  gates: {13: 0.5, 16: 0.5, 18: 0.5}
"""
CANDIDATE = "  candidate: {detector: age-new, gates: {13: 0.5, 16: 0.5, 18: 0.5}, share: %s, most_flips: 0.05}\n"


class Known:
    """States by account; those of the accounts in `behind` are not caught up."""

    def __init__(self, states: Mapping[str, bytes], behind: Sequence[str] = ()) -> None:
        self.states, self.behind = states, behind

    def get(self, accounts: Sequence[bytes]) -> tuple[list[bytes | None], list[bool]]:
        names = [account.decode() for account in accounts]
        return [self.states.get(name) for name in names], [name not in self.behind for name in names]


def pack_in(folder: Path, text: str = PACK) -> Pack:
    (folder / "pack.yaml").write_text(text)
    return load_pack(folder)


def state(*told: Record) -> bytes:
    return folded(placed(told), settings=LedgerSettings(estimate_days=3650)) or b""


STATES = {
    "child": state(estimate(START, 11.0, 1.0)),
    "teen": state(estimate(START, 15.0, 0.5)),
    "adult": state(estimate(START, 30.0)),
    "proven": state(estimate(START, 12.0, 1.0), proven(START, verified_over=18)),
    "odd": b"no state at all",
}


def judge(pack: Pack, known: Known) -> Judge:
    accounts = Accounts(pack, known)
    names = ("text", "lexicon")
    return Judge(pack, CLUSTER, SCHEMAS, COLUMNS, names, versions(names), lambda _: LEAF, accounts)


def judged(pack: Pack, known: Known, records: Sequence[dict[str, Any]], **columns: Any) -> list[tuple[Any, Any]]:
    """Decision and leaf of each event; nothing is scored over any threshold."""
    taken = events(records, **columns)
    verdicts = judge(pack, known).judge(taken, scores(np.zeros((len(records), 6))), START)
    read = [fastavro.schemaless_reader(io.BytesIO(v[5:]), DECISION.parsed, None) for v in verdicts.decisions]
    leaves = [fastavro.schemaless_reader(io.BytesIO(bytes(96) + b), LEAF.parsed, None) for b in verdicts.leaf_bodies]
    return list(zip(read, (leaf["decision"] for leaf in leaves), strict=True))


def event(account: str, surface: str | None = "arena", **others: Any) -> dict[str, Any]:
    return {"event_id": "e", "account_id": account, "surface": surface} | others


def policy_of(folder: Path) -> Policy:
    names = ("text", "lexicon")
    return Policy(pack_in(folder), COLUMNS, names, versions(names))


with TemporaryDirectory() as folder:
    POLICY = policy_of(Path(folder))
MESSAGES = ["content.messages"]

sides = st.integers(0, 7)


@given(author=sides, recipient=sides, at=st.integers(0, 2))
def test_who_is_of_unknown_age_is_treated_as_the_stricter_side(author: int, recipient: int, at: int) -> None:
    """Whatever fires for one side of a gate fires as well where the side is unknown."""
    known = [np.full((1, 3), bits, np.uint8) for bits in (author, recipient)]
    less = [bits.copy() for bits in known]
    for bits in less:
        bits[0, at] |= GateOutcome.unknown
    fired, stricter = (decide(POLICY, asked(columns), scores(np.zeros(6)), NOW_MS).fired for columns in (known, less))
    assert (stricter | ~fired).all()


def asked(columns: Sequence[Any]) -> Facts:
    accounts = AccountFacts(*columns, np.zeros(1, np.float32), np.zeros(1, bool))
    return Facts(["messages"], ["arena"], [None], ["create"], [()], accounts)


@pytest.mark.parametrize(
    ("account", "rule"),
    [("child", "under-16"), ("teen", "under-16"), ("adult", None), ("proven", None), ("nobody", "under-16"),
     ("odd", "under-16")],
)  # fmt: skip
def test_a_gate_treats_accounts_by_their_state(tmp_path: Path, account: str, rule: str | None) -> None:
    """A proof of age overrides the estimate; who has no state, or one that can't be read, is unknown."""
    [(decision, leaf)] = judged(pack_in(tmp_path), Known(STATES), [event(account)])
    assert [decision[name] for name in ("rule", "score", "threshold", "degraded")] == [
        rule, None, None, account == "odd"
    ]  # fmt: skip
    [read] = leaf["accounts"]
    assert (read["who"], read["in_force"], read["caught_up"]) == ("author", "age", account != "odd")
    outcomes = {each["gate"]: each["outcome"] for each in read["outcomes"]}
    assert {each["gate"]: each["outcome"] for each in decision["gates"]} == outcomes
    assert (outcomes[16] == "reached") == (rule is None)
    assert {each["detector"] for each in read["outcomes"]} == {"verified" if account == "proven" else "age"}
    assert [mark["topic"] for mark in read["marks"]] == {
        "nobody": [], "odd": [], "proven": ["moderation.age-estimates", "moderation.reviews"],
    }.get(account, ["moderation.age-estimates"])  # fmt: skip


def test_who_does_not_reach_a_gate_reaches_no_higher_one(tmp_path: Path) -> None:
    """Thresholds may fall with the age, as those of the bundled model do."""
    falling = PACK.replace("{13: 0.5, 16: 0.5, 18: 0.5}", "{13: 0.9999, 16: 0.02, 18: 0.01}")
    known = Known({"between": state(estimate(START, 16.0, 2.0))})
    [(_, leaf)] = judged(pack_in(tmp_path, falling), known, [event("between")])
    assert [each["outcome"] for each in leaf["accounts"][0]["outcomes"]] == ["below"] * 3


def test_a_detector_that_gives_scores_can_be_missed_whatever_the_pack_calls_it(tmp_path: Path) -> None:
    """Else a slip in `age.detector` would let pass what was never scored."""
    (tmp_path / "pack.yaml").write_text(PACK.replace("detector: age", "detector: text"))
    names = ("text", "lexicon")
    assert Policy(load_pack(tmp_path), COLUMNS, names, versions(names)).can_miss.tolist() == [True, True]


def test_only_accounts_that_a_rule_asks_about_are_read(tmp_path: Path) -> None:
    text = PACK.replace("    when: {strikes: {at_least: 2}}", "    when: {surface: [x], strikes: {at_least: 2}}")
    text = text.replace("when: {author_age: {under: 13}}", "when: {audience: [public], author_age: {under: 13}}")
    taken = [event("teen", "elsewhere"), event("teen"), event("teen", operation="delete")]
    found = judged(pack_in(tmp_path, text), Known(STATES), taken)
    assert [len(leaf["accounts"]) for _, leaf in found] == [0, 1, 0]


def test_a_state_that_is_not_caught_up_makes_the_decision_degraded(tmp_path: Path) -> None:
    [(decision, leaf)] = judged(pack_in(tmp_path), Known(STATES, ["adult"]), [event("adult")])
    assert (decision["rule"], decision["degraded"], leaf["accounts"][0]["caught_up"]) == (None, True, False)


@pytest.mark.parametrize(
    ("recipients", "rule"),
    [(["adult"], None), (["teen"], "adult-to-minor"), (["adult", "teen"], "adult-to-minor"), ([], "adult-to-minor"),
     (["nobody"], "adult-to-minor"), (["adult"] * 3, None), (None, None),
     ([f"adult-{n}" for n in range(MOST_RECIPIENTS + 1)], "adult-to-minor")],
)  # fmt: skip
def test_a_message_is_judged_by_the_youngest_that_it_may_be_for(tmp_path: Path, recipients: Any, rule: Any) -> None:
    """An empty list means that the platform does not know them; more than are read may be of any age."""
    states = STATES | {f"adult-{n}": STATES["adult"] for n in range(MOST_RECIPIENTS + 1)}
    record = event("adult", "chat") | ({} if recipients is None else {"recipient_ids": recipients})
    [(decision, leaf)] = judged(pack_in(tmp_path), Known(states), [record], topics=MESSAGES)
    assert decision["rule"] == rule
    assert [each["who"] for each in leaf["accounts"]] == ["author"] + ["recipient"] * min(
        len(dict.fromkeys(recipients or [])), MOST_RECIPIENTS
    )


def test_no_probability_is_in_a_decision_or_a_leaf(tmp_path: Path) -> None:
    """Two accounts whose estimates differ, on the same side of every gate, leave the same bytes but for the marks."""
    pack = pack_in(tmp_path, PACK + CANDIDATE % 0)
    known = {"a": state(estimate(START, 30.0)), "b": state(estimate(START, 45.0, 5.0))}
    (one, leaf), (other, also) = judged(pack, Known(known), [event("a"), event("b")])
    assert one["gates"] == other["gates"]
    assert leaf["accounts"] == also["accounts"]


def candidate_states(accounts: int, flips: int) -> dict[str, bytes]:
    both = [state(estimate(START, 30.0), estimate(START, age, detector="age-new")) for age in (30.0, 12.0)]
    return {f"a{n}": both[n < flips] for n in range(accounts)}


def test_a_candidate_without_a_share_changes_no_decision_and_stands_in_the_leaf(tmp_path: Path) -> None:
    pack = pack_in(tmp_path, PACK + CANDIDATE % 0)
    [(decision, leaf)] = judged(pack, Known(candidate_states(1, 1)), [event("a0")])
    assert decision["rule"] is None
    [read] = leaf["accounts"]
    assert read["in_force"] == "age"
    assert {(o["detector"], o["outcome"]) for o in read["outcomes"] if o["gate"] == 16} == {
        ("age", "reached"), ("age-new", "below")
    }  # fmt: skip


@given(st.floats(0, 1), st.floats(0, 1), st.text(min_size=1))
def test_an_account_that_the_candidate_decides_for_stays_with_it_as_the_share_grows(
    less: float, more: float, account: str
) -> None:
    low, high = sorted((less, more))
    at = bucket(b"age-new/", account)
    assert 0 <= at < 1
    assert (at < high) or not (at < low)


def test_the_share_is_of_the_accounts(tmp_path: Path) -> None:
    pack = pack_in(tmp_path, PACK.replace("0.05", "1") + CANDIDATE.replace("0.05", "1") % 0.3)
    found = judged(pack, Known(candidate_states(2000, 2000)), [event(f"a{n}") for n in range(2000)])
    under = [decision["rule"] == "under-16" for decision, _ in found]
    assert [leaf["accounts"][0]["in_force"] == "age-new" for _, leaf in found] == under
    assert 0.25 < np.mean(under) < 0.35


@pytest.mark.parametrize("share", [0, 1])
def test_the_guard_stops_a_candidate_that_changes_too_much(tmp_path: Path, share: float) -> None:
    """One that decides for nobody yet is only counted."""
    pack = pack_in(tmp_path, PACK + CANDIDATE % share)
    known = Known(candidate_states(LEAST, LEAST // 10))
    one = judge(pack, known)
    taken, given_scores = events([event(f"a{n}") for n in range(LEAST)]), scores(np.zeros((LEAST, 6)))
    first = one.judge(taken, given_scores, START)
    guard = one.flips
    assert guard
    assert (guard.compared, guard.flipped, guard.stopped) == (LEAST, LEAST // 10, bool(share))
    then = one.judge(taken, given_scores, START)
    assert (first.actions > 0).sum() == (LEAST // 10 if share else 0)
    assert not then.actions.any()  # as the model in force says
    leaf = fastavro.schemaless_reader(io.BytesIO(bytes(96) + then.leaf_bodies[0]), LEAF.parsed, None)["decision"]
    assert leaf["candidate_stopped"] == bool(share)


def test_a_guard_lets_a_candidate_through_that_changes_little(tmp_path: Path) -> None:
    pack = pack_in(tmp_path, PACK + CANDIDATE % 1)
    one = judge(pack, Known(candidate_states(LEAST, LEAST // 50)))
    one.judge(events([event(f"a{n}") for n in range(LEAST)]), scores(np.zeros((LEAST, 6))), START)
    assert one.flips
    assert not one.flips.stopped


def test_who_estimates_ages_is_never_a_missing_score(tmp_path: Path) -> None:
    """It abstained: the ledger's state says what that means, and nothing is held or degraded."""
    names = ("text", "lexicon", "age", "another-age")
    policy = Policy(pack_in(tmp_path), COLUMNS, names, (*versions(names[:2]), "1", "1"))
    given_scores = scores(np.zeros(6))
    status = np.array([[Status.scored, Status.scored, Status.abstained, Status.error]], np.uint8)
    wide = type(given_scores)(
        COLUMNS, names, policy.versions, given_scores.probability, status, np.zeros((1, 4), np.uint8)
    )
    decided = decide(policy, Facts(["comments"], [None], [None], ["create"], [()]), wide, NOW_MS)
    assert not decided.missing.any()
    assert not decided.degraded.any()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{under: 16}", "{under: 17}", "16"),
        ("{under: 16}", "{}", "either under or at_least"),
        ("gates: {13: 0.5, 16: 0.5, 18: 0.5}", "gates: {13: 0.5, 18: 0.5}", "has no gate 16 (known: 13, 18)"),
        ("action: age_restrict", "action: hold", "nothing is held"),
        ("    category: spam\n", "", "belong together"),
        ("surface: [arena], author_age: {under: 16}", "surface: [arena]", "needs a condition on author_age"),
        (PACK[PACK.index("age:\n  detector") :], "", "need the section `age`"),
    ],
)
def test_what_is_wrong_with_a_pack_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PACK
    with pytest.raises(Mistakes) as found:
        pack_in(tmp_path, PACK.replace(old, new))
    assert said in str(found.value)
    assert "pack.yaml:" in str(found.value)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ("{detector: age, gates: {13: 0.5, 16: 0.5, 18: 0.5}, share: 0, most_flips: 0.1}", "another detector"),
        ("{detector: new, gates: {13: 0.5, 16: 0.5}, share: 0, most_flips: 0.1}", "the same gates"),
        ("{detector: new, gates: {13: 0.5, 16: 0.5, 18: 0.5}, share: 5, most_flips: 0.1}", "less than or equal to 1"),
    ],
)
def test_a_candidate_must_be_comparable(tmp_path: Path, candidate: str, said: str) -> None:
    with pytest.raises(Mistakes, match=said):
        pack_in(tmp_path, f"{PACK}  candidate: {candidate}\n")


def test_gates_are_for_one_version_of_a_model(tmp_path: Path) -> None:
    pack = pack_in(tmp_path, PACK + "  model_version: 0123456789abcdef\n")
    with pytest.raises(UserMistake, match="a gate of the section 'age' is for version 0123456789abcdef"):
        Policy(pack, COLUMNS, ("text", "lexicon", "age"), (*versions(("text", "lexicon")), "another"))
    assert Policy(pack.unbound(), COLUMNS, ("text", "lexicon", "age"), (*versions(("text", "lexicon")), "another"))


CASES = """
cases:
  - name: a teen is not let in
    event: {surface: arena}
    author: {age: 15}
    expect: {action: age_restrict, rule: under-16, degraded: false}
  - name: nor is who is unknown
    event: {surface: arena}
    expect: {action: age_restrict, rule: under-16}
  - name: an adult is
    event: {surface: arena}
    author: {age: 30, strikes: 2}
    expect: {action: label, rule: again}
  - name: an adult writes to a group with somebody unknown
    event: {content_type: messages}
    author: {age: 30}
    recipients: [{age: 30}, {}]
    expect: {action: limit_reach, rule: adult-to-minor}
"""


def test_a_packs_cases_state_ages(tmp_path: Path) -> None:
    pack = pack_in(tmp_path)
    (tmp_path / "ages_test.yaml").write_text(CASES)
    assert [result.failure for result in run_cases(pack)] == [None] * 4
    (tmp_path / "ages_test.yaml").write_text(CASES.replace("age: 15", "age: 17"))
    assert sum(result.failure is not None for result in run_cases(pack)) == 1


def test_explain_says_which_side_of_a_gate_an_account_is_on(tmp_path: Path, capsys: Any) -> None:
    pack_in(tmp_path)
    (tmp_path / "event.json").write_text('{"event_id": "e", "account_id": "a", "surface": "arena"}\n')
    line = '{"event_id": "e", "detector": "text", "status": "scored", "scores": {"spam": 0.95}}\n'
    (tmp_path / "scores.json").write_text(line)
    place = [str(tmp_path / name) for name in ("event.json", "scores.json")]
    code = run(["policy", "explain", *place, "--pack", str(tmp_path), "--author-age", "15", "--strikes", "1"])
    said = capsys.readouterr().out
    assert code == 0
    assert "age_restrict, by under-16" in said
    assert "the author: under 16" in said
    assert "the author: 13 or over" in said
    assert "1 in strikes, not 2" in said
    code = run(["policy", "explain", *place, "--pack", str(tmp_path)])
    assert "of unknown age, so the stricter side of 16" in capsys.readouterr().out


def test_a_pack_says_whether_it_needs_the_ledgers_state(tmp_path: Path) -> None:
    pack = pack_in(tmp_path)
    assert (pack.reads_accounts, pack.reads_recipients) == (True, True)
    plain = yaml.safe_load(PACK)
    plain["rules"] = [r for r in plain["rules"] if r["id"] == "spam"]
    del plain["rules"][0]["when"]
    assert not pack_in(tmp_path, yaml.safe_dump(plain)).reads_accounts
    assert explain(policy_of(tmp_path), Facts(["x"], [None], [None], ["create"], [()]), scores(np.zeros(6)), 0)

"""Policy packs: what is wrong with one is named with its place, all at once; the built-in one fits what it must."""

import hashlib
import json
from pathlib import Path

import pytest

from detectors.loading.model_directory import SHIPPED, open_directory
from enforcement.decide import Policy
from enforcement.located_yaml import Mistakes
from enforcement.pack_cases import run_cases, untested
from enforcement.packs import DEFAULT, load_pack
from safestream.cli import run
from schemas.columns import Score
from schemas.errors import UserMistake

GOOD = """\
name: mine
thresholds:
  high: {value: 0.9}
rules:
  - id: spam
    category: spam
    threshold: high
    action: limit_reach
    reason: This looks like spam.
hold: {deadline_hours: 2}
"""
CASES = """\
cases:
  - name: spam is shown to fewer
    scores: {someone: {spam: 0.95}}
    expect: {action: limit_reach, rule: spam}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pack.yaml").write_text(GOOD)
    (tmp_path / "mine_test.yaml").write_text(CASES)
    return tmp_path


def mistakes(folder: Path, text: str) -> list[str]:
    """What load_pack says of a text, without the file's name."""
    (folder / "pack.yaml").write_text(text)
    with pytest.raises(Mistakes) as found:
        load_pack(folder)
    return [str(problem).removeprefix(f"{folder / 'pack.yaml'}:") for problem in found.value.problems]


def test_no_threshold_belongs_to_a_model_that_nobody_evaluated(folder: Path) -> None:
    bound = GOOD.replace("{value: 0.9}", "{value: 0.9, detector: llm, model_version: draft-0123456789abcdef}")
    (problem,) = mistakes(folder, bound)
    assert "was not evaluated" in problem


def test_a_good_pack_loads_and_its_version_is_the_digest_of_its_file(folder: Path) -> None:
    pack = load_pack(folder)
    assert pack.version == hashlib.sha256(GOOD.encode()).hexdigest()
    assert [result.failure for result in run_cases(pack)] == [None]
    assert not list(untested(pack))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("category: spam", "category: spamm", "6:15: rules.0.category: input should be 'violent_crimes'"),
        ("action: limit_reach", "action: ban", "8:13: rules.0.action: no such action (known: allow, label,"),
        ("action: limit_reach", "action: allow", "8:13: rules.0.action: a rule restricts"),
        ("threshold: high", "threshold: low", "7:16: no threshold is called 'low' (known: high)"),
        ("value: 0.9", "value: 1.5", "3:17: thresholds.high.value: input should be less than or equal to 1"),
        ("value: 0.9", "value: '0.9'", "3:17: thresholds.high.value: input should be a valid number"),
        ("value: 0.9", "value: 0.9, model_version: v1", "3:9: a model_version needs a detector"),
        ("    reason: This looks like spam.\n", "", "5:5: rules.0.reason: field required"),
        ("id: spam", "id: deletion", "5:9: the rule id 'deletion' is taken"),
        ("id: spam", "id: a.b", "5:9: rules.0.id: string should match pattern"),
        ("deadline_hours: 2", "deadline_hours: 0", "10:24: hold.deadline_hours: input should be greater than 0"),
        ("hold: {", "on_missing: {text: {skipped: hold}}\nhold: {", "10:30: on_missing.text.skipped.[key]: input"),
        ("hold: {", "name: again\nhold: {", "10:1: the key 'name' stands here a second time"),
        ("hold: {", "whatever: 1\nhold: {", "10:11: whatever: extra inputs are not permitted"),
        ("action: limit_reach", "action: [", "10:5: expected ',' or ']', but got"),
        ("action: l", "when: {operation: [delete]}\n    action: l", "8:24: rules.0.when.operation.0: input"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_line_and_column(folder: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert [line[: len(said)] for line in mistakes(folder, GOOD.replace(old, new))] == [said]


def test_all_mistakes_come_at_once_in_the_files_order(folder: Path) -> None:
    text = GOOD.replace("category: spam", "category: spamm").replace("value: 0.9", "value: 2").replace("mine", "Mine!")
    found = mistakes(folder, text)
    assert [line.split(":")[0] for line in found] == ["1", "3", "6"]
    with pytest.raises(Mistakes, match=r"^[^\n]*pack.yaml:1:7: [^\n]* \(and 2 more; `safestream policy check`[^\n]*$"):
        load_pack(folder)


def test_a_rule_for_another_detector_than_its_threshold_is_a_mistake(folder: Path) -> None:
    text = GOOD.replace("{value: 0.9}", "{value: 0.9, detector: text}").replace(
        "    reason", "    detector: x\n    reason"
    )
    assert mistakes(folder, text) == ["9:15: the threshold 'high' is for the detector 'text'"]


@pytest.mark.parametrize(
    "text",
    ["", "- a list", "plain text", "a: b: c", "\x00", "name: 2026-13-45", "name: mine", "rules: 5\nthresholds: []"],
)
def test_what_is_no_pack_at_all_is_said_without_a_traceback(folder: Path, text: str) -> None:
    assert mistakes(folder, text)


def test_no_pack_and_no_utf8_are_the_users_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match=r"no policy pack here: a pack is a folder with a pack\.yaml"):
        load_pack(tmp_path)
    (tmp_path / "pack.yaml").write_bytes(b"\xff")
    with pytest.raises(UserMistake, match="not UTF-8"):
        load_pack(tmp_path)


def test_things_worth_a_look_are_notices(folder: Path) -> None:
    (folder / "pack.yaml").write_text(GOOD.replace("rules:", "  idle: {value: 0.5}\nrules:"))
    (folder / "mine_test.yaml").write_text("cases: []\n")
    pack = load_pack(folder)
    said = [*pack.notices, *untested(pack)]
    assert [(p.line, p.column, p.notice, p.message) for p in said] == [
        (4, 9, True, "no rule uses the threshold 'idle'"),
        (6, 9, True, "no case expects the rule 'spam' to decide"),
    ]


def test_a_case_that_fails_says_where_and_what_came_instead(folder: Path) -> None:
    (folder / "mine_test.yaml").write_text(CASES.replace("0.95", "0.89"))
    [result] = run_cases(load_pack(folder))
    assert str(result.failure).endswith(
        "mine_test.yaml:4:13: spam is shown to fewer: "
        "expected action limit_reach, rule spam, got action allow, rule None"
    )


@pytest.mark.parametrize("detectors", [["text"], ["lexicon"], ["text", "lexicon"], ["null"]])
def test_the_default_pack_serves_every_set_of_built_in_detectors(detectors: list[str]) -> None:
    """A rule that no detector feeds is inert and said to be, never an error."""
    of = {"text": ("hate", "harassment", "profanity", "threat", "sexual", "spam", "scam")}
    columns = [Score(d, c) for d in detectors for c in of.get(d, ("hate", "harassment", "profanity"))]
    pack = load_pack(DEFAULT)
    policy = Policy(pack, columns, detectors, [pack.versions.get(name, "1") for name in detectors])
    fed = sum(pack.file.thresholds[rule.threshold].detector in detectors for rule in pack.file.rules)
    assert len(policy.rules) == fed
    elsewhere = sum(pack.file.thresholds[rule.threshold].detector in policy.second_look for rule in pack.file.rules)
    assert len(policy.rules) + elsewhere + len(policy.notices) == len(pack.file.rules)


def test_the_default_pack_passes_its_own_cases_and_each_rule_has_one() -> None:
    pack = load_pack(DEFAULT)
    assert [result.failure for result in run_cases(pack) if result.failure] == []
    assert not pack.notices
    assert not list(untested(pack))


def test_the_default_pack_goes_by_the_card_of_the_text_detector_that_is_shipped() -> None:
    """A model trained anew has another card: its thresholds are looked at again before the pack names it."""
    model = open_directory(SHIPPED / "text-multilingual")
    thresholds = {n: t for n, t in load_pack(DEFAULT).file.thresholds.items() if t.detector == "text"}
    assert {threshold.model_version for threshold in thresholds.values()} == {model.version}
    for category, on_card in model.card.thresholds.items():
        assert thresholds[category.value].value == on_card.threshold


def test_policy_check_and_test_end_with_1_where_they_find_something(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (run(["policy", "check", str(folder)]), run(["policy", "test", str(folder)])) == (0, 0)
    (folder / "mine_test.yaml").write_text(CASES.replace("limit_reach", "remove"))
    assert (run(["policy", "check", str(folder)]), run(["policy", "test", str(folder)])) == (0, 1)
    (folder / "pack.yaml").write_text(GOOD.replace("spam\n", "spamm\n"))
    capsys.readouterr()
    assert run(["policy", "check", str(folder)]) == 1
    assert "pack.yaml:6:15: " in capsys.readouterr().out
    assert run(["policy", "test", str(folder)]) == 2
    assert "pack.yaml:6:15: " in capsys.readouterr().err


def test_policy_explain_shows_each_rule_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event, scores = tmp_path / "event.jsonl", tmp_path / "scores.jsonl"
    event.write_text(json.dumps({"event_id": "e", "account_id": "a"}))
    version = load_pack(DEFAULT).versions["text"]
    lines = [
        {
            "event_id": "e",
            "detector": "text",
            "model_version": version,
            "status": "scored",
            "scores": {"harassment": 0.97},
        },
        {"event_id": "other", "detector": "text", "status": "scored", "scores": {"hate": 1}},
        {"event_id": "e", "detector": "lexicon", "status": "error"},
    ]
    scores.write_text("\n".join(map(json.dumps, lines)))
    assert run(["policy", "explain", str(event), str(scores)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("hold, by on_missing.lexicon.error (degraded)\nmissing: lexicon\n")
    assert "0.9700 reaches" in said
    assert "content_type is comments, not one of messages" in said
    scores.write_text('{"event_id": "e", "detector": "text", "status": "maybe"}')
    assert run(["policy", "explain", str(event), str(scores)]) == 2
    assert f"{scores}:1: " in capsys.readouterr().err

"""`safestream schemas`: what the gate lets pass, what it names, and a content type from scaffold to release."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safestream.cli import run
from schemas.checks import check
from schemas.folder import BUILT_IN, Folder
from schemas.registry import open_registry
from schemas.scaffold import draft, topic_for

TOPIC = "content.playlist-title"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A user's folder with one content type, released once."""
    monkeypatch.chdir(tmp_path)
    assert run(["schemas", "scaffold", "playlist-title", "--folder", "mine"]) == 0
    assert run(["schemas", "register", "--folder", "mine"]) == 0
    capsys.readouterr()
    return Folder(tmp_path / "mine")


def changed(folder: Folder, change: Change) -> Path:
    path = folder.drafts()[TOPIC]
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return path


def errors(folder: Folder) -> list[str]:
    return [str(finding) for finding in check(folder) if not finding.notice]


def notices(folder: Folder) -> list[str]:
    return [str(finding) for finding in check(folder) if finding.notice]


def field(raw: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in raw["fields"] if each["name"] == name)


def test_our_own_schemas_pass() -> None:
    assert check(Folder(BUILT_IN)) == []


def test_what_scaffold_writes_passes_and_is_found_by_its_topic(folder: Folder) -> None:
    assert check(folder) == []
    schema = open_registry(folder.root).latest(TOPIC)
    assert (schema.id, schema.version, schema.roles.text) == (2_000_000, 1, (("text",),))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: field(raw, "text").pop("doc"), "field text: no doc"),
        (lambda raw: field(raw, "text").pop("role"), "field text: no role"),
        (lambda raw: field(raw, "text").update(role="prose"), "unknown role 'prose'"),
        (lambda raw: raw.pop("doc"), "the record has no doc"),
        (lambda raw: raw["fields"].remove(field(raw, "event_id")), "the schema has no field event_id"),
        (lambda raw: field(raw, "account_id").update(type=["null", "string"]), "account_id is not a string"),
        (lambda raw: field(raw, "text").update(default=""), "field text: the default is not of"),
        (lambda raw: field(raw, "revision").update(type="long"), "field revision: readers of version 1 can't read"),
        (lambda raw: raw["fields"].remove(field(raw, "content_id")), "field content_id: readers of version 1"),
        (
            lambda raw: raw["fields"].append({"name": "x", "type": "int", "doc": "X, in pixels."}),
            "field x: can't read records of version 1",
        ),
        (lambda raw: field(raw, "operation")["type"]["symbols"].remove("edit"), ""),
    ],
)
def test_each_break_is_named_with_its_field(folder: Folder, change: Change, said: str) -> None:
    path = changed(folder, change)
    found = errors(folder)
    assert any(line.startswith(str(path)) and said in line for line in found) if said else found == []


def test_a_version_is_held_against_all_that_were_released_not_only_the_last(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Version 2 drops a field that has a default; version 3 may not bring its name back with another type."""
    changed(folder, lambda raw: raw["fields"].remove(field(raw, "region")))
    assert run(["schemas", "register", "--folder", str(folder.root)]) == 0
    changed(folder, lambda raw: raw["fields"].append({**RATING, "name": "region"}))
    assert run(["schemas", "check", "--folder", str(folder.root)]) == 1
    said = capsys.readouterr().out
    assert "field region: can't read records of version 1: string is not in the union [null, int]" in said
    assert "records of version 2" not in said
    assert run(["schemas", "register", "--folder", str(folder.root)]) == 1
    assert "not released" in capsys.readouterr().out
    assert len(folder.releases_of(TOPIC)) == 2


RATING = {"name": "rating", "type": ["null", "int"], "default": None, "role": "context", "doc": "Stars, 1 to 5."}


def test_a_compatible_change_is_noticed_and_released_as_the_next_version(folder: Folder) -> None:
    path = changed(folder, lambda raw: raw["fields"].append(RATING))
    assert errors(folder) == []
    assert notices(folder) == [f"{path}: changed since version 1, not released yet"]
    assert run(["schemas", "register", TOPIC, "--folder", str(folder.root)]) == 0
    assert check(folder) == []
    assert open_registry(folder.root).latest(TOPIC).version == 2
    assert open_registry(folder.root).by_id(2_000_000).version == 1


def test_registering_twice_releases_once(folder: Folder) -> None:
    assert run(["schemas", "register", "--folder", str(folder.root)]) == 0
    assert len(folder.releases_of(TOPIC)) == 1


def test_a_changed_role_is_noticed(folder: Folder) -> None:
    changed(folder, lambda raw: field(raw, "text").update(role="personal"))
    assert any("field text: its role was text, now it is personal" in line for line in notices(folder))


def test_a_release_that_was_changed_is_found(folder: Folder) -> None:
    path = folder.releases_of(TOPIC)[0].path
    path.write_text(path.read_text().replace("What was written", "What was sung"))
    assert [line for line in errors(folder) if "not as released" in line]


def test_a_release_without_an_id_is_found(folder: Folder) -> None:
    stray = folder.releases_of(TOPIC)[0].path.with_name("9.avsc")
    stray.write_text(draft(TOPIC))
    assert errors(folder) == [f"{stray}: has no id in ids.json, so nobody can use it; delete it, or restore ids.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type": "record",', ":1:19: not JSON"),
        ('["null"]', "not an Avro record"),
        ('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "nothing"}]}', "no valid Avro"),
        ('{"type": "record", "fields": []}', "no valid Avro"),
        (draft(TOPIC).replace('"default": 0', '"default": "none"'), "(in field revision)"),
    ],
)
def test_a_broken_file_is_the_users_mistake(
    folder: Folder, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder.drafts()[TOPIC]
    path.write_text(text)
    assert run(["schemas", "check", "--folder", str(folder.root)]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"safestream: {path}")
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "--folder", "nowhere"], "nowhere: no such folder"),
        (["scaffold", "x"], "no folder for your own schemas"),
        (["scaffold", "moderation.x", "--folder", "mine"], "Safestream's own"),
        (["scaffold", "a b", "--folder", "mine"], "can't be a topic's name"),
        (["scaffold", "playlist-title", "--folder", "mine"], "there already"),
        (["register", "content.none", "--folder", "mine"], "no draft content.none"),
        (["register", "--folder", "mine", "--url", "nonsense"], "Invalid url nonsense"),
        (["register", "--folder", "mine", "--url", "http://127.0.0.1:9"], "start it, or correct schema_registry.url"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Folder, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert folder.root.name == "mine"
    assert run(["schemas", *arguments]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_scaffold_says_what_to_configure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "scaffold", "playlist-title", "--folder", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().out
    assert f"schema_registry:\n  folder: {tmp_path / 'mine'}\n" in said
    assert "content.profile-signals, content.playlist-title]" in said


@pytest.mark.parametrize("name", ["playlist-title", "shop.reviews", "9-lives", "a_b.c--d", "x-"])
def test_every_name_that_a_topic_can_have_gives_a_schema_that_passes(tmp_path: Path, name: str) -> None:
    assert run(["schemas", "scaffold", name, "--folder", str(tmp_path)]) == 0
    assert [finding for finding in check(Folder(tmp_path)) if not finding.notice] == []
    assert topic_for(name) in Folder(tmp_path).drafts()

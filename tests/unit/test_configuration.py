"""Configuration: where a value comes from, and what is said about a wrong one."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from safestream.configuration import Configuration, load
from safestream.reference import pages
from schemas.errors import UserMistake


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("SAFESTREAM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> Path:
    path = folder / "safestream.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistake(folder: Path, text: str) -> str:
    with pytest.raises(UserMistake) as caught:
        load(write(folder, text))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_file_the_defaults_stand() -> None:
    """The defaults are a pipeline on this machine with the three content types."""
    configuration = load()
    assert configuration.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert list(configuration.topics.content) == ["content.comments", "content.messages", "content.profile-signals"]


def test_the_environment_is_stronger_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAFESTREAM_… over KAFKA_BOOTSTRAP_SERVERS over the file over the default, key by key."""
    write(tmp_path, "kafka: {bootstrap_servers: file:1, properties: {linger.ms: 7}}\nworker: {slot: 1, group: mine}")
    assert load().kafka.bootstrap_servers == "file:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "shared:1")
    assert load().kafka.bootstrap_servers == "shared:1"
    monkeypatch.setenv("SAFESTREAM_KAFKA__BOOTSTRAP_SERVERS", "ours:1")
    monkeypatch.setenv("SAFESTREAM_WORKER__SLOT", "4")
    configuration = load()
    assert configuration.kafka.bootstrap_servers == "ours:1"
    assert configuration.kafka.properties == {"linger.ms": "7"}
    assert (configuration.worker.slot, configuration.worker.group) == ("4", "mine")


def test_safestream_config_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named by the environment is read, and its relative paths start from its own folder."""
    (tmp_path / "etc").mkdir()
    monkeypatch.setenv("SAFESTREAM_CONFIG", str(write(tmp_path / "etc", "policy: {pack: packs/mine}")))
    assert load().policy.pack == tmp_path / "etc" / "packs" / "mine"


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("[a, b]", {"a": 1, "b": 1}),
        ("{a: {weight: 3}, b: }", {"a": 3, "b": 1}),
    ],
)
def test_content_topics_are_a_list_or_a_mapping(tmp_path: Path, text: str, weights: dict[str, float]) -> None:
    """A new content type is a name in the list; a weight is optional."""
    content = load(write(tmp_path, f"topics: {{content: {text}}}")).topics.content
    assert {name: topic.weight for name, topic in content.items()} == weights


def test_every_wrong_key_is_named_with_its_line(tmp_path: Path) -> None:
    """All mistakes come at once, each with file, line and what was probably meant."""
    path = tmp_path / "safestream.yaml"
    said = mistake(
        tmp_path,
        "kafka:\n  bootstrap_server: x\nworkr: {}\nworker:\n  batch_size: many\n"
        "topics:\n  content:\n    a: {wieght: 3}\n",
    )
    assert f"{path}:2: kafka.bootstrap_server: no such key, did you mean bootstrap_servers?" in said
    assert f"{path}:3: workr: no such key, did you mean worker?" in said
    assert f"{path}:5: worker.batch_size: input should be a valid integer" in said
    assert f"{path}:8: topics.content.a.wieght: no such key, did you mean weight?" in said


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment a misspelt key, a misspelt section and a wrong value are named by their variable."""
    monkeypatch.setenv("SAFESTREAM_WORKER__BATCHSIZE", "1")
    monkeypatch.setenv("SAFESTREAM_LOG__LEVEL", "loud")
    said = mistake(tmp_path, "")
    assert "SAFESTREAM_WORKER__BATCHSIZE: worker.batchsize: no such key, did you mean batch_size?" in said
    assert "SAFESTREAM_LOG__LEVEL: log.level" in said
    monkeypatch.setenv("SAFESTREAM_WORKRE__SLOT", "1")
    assert "SAFESTREAM_WORKRE__SLOT: no such setting, did you mean worker?" in mistake(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("- a", "a mapping of sections is expected"),
        ("kafka: {}\nkafka: {}", ":2: kafka: twice in the same mapping"),
        ("detectors: {text: {factory: nowhere}}", "detectors.text.factory"),
        ("topics: {content: [moderation.audit]}", "names that begin with moderation. are Safestream's own"),
        ("topics: {content: []}", "topics.content"),
        ("topics: {content: [a, {b: 1}]}", "topics.content: a list has names only"),
        ("topics: {content: a}", "topics.content: input should be a valid dictionary"),
        ("kafka: 5", "kafka: input should be a valid dictionary"),
        ("5: {}", "5: no such key"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Broken YAML, a key given twice and names that can't work end in one line."""
    assert said in mistake(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path stands in the message."""
    with pytest.raises(UserMistake, match=r"nowhere\.yaml: can't be read: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_a_property_that_would_break_exactly_once_is_refused_by_name(tmp_path: Path) -> None:
    """So is one under librdkafka's other name for it."""
    text = (
        "kafka:\n  properties:\n    isolation.level: read_uncommitted\n    request.required.acks: 1\n    linger.ms: [1]"
    )
    said = mistake(tmp_path, text)
    assert ":3: kafka.properties.isolation.level: can't be set: consumers must not read open" in said
    assert ":4: kafka.properties.request.required.acks: can't be set" in said
    assert ":5: kafka.properties.linger.ms: input should be a valid string" in said


def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the repr nor in a message about the secret itself."""
    secret = "s3cr3t-s3cr3t-s3cr3t"
    text = (
        f"kafka: {{properties: {{sasl.password: {secret}}}}}\nschema_registry: {{properties: {{basic.auth.user.info: "
        f"'u:{secret}'}}}}\ndead_letters: {{signing_key: {secret}}}"
    )
    configuration = load(write(tmp_path, text))
    assert configuration.kafka.properties["sasl.password"] == secret
    assert "s3cr3t" not in repr(configuration) + str(configuration)
    assert "s3cr3t" not in mistake(tmp_path, "dead_letters: {signing_key: s3cr3t}")


def test_a_detectors_other_keys_are_its_options(tmp_path: Path) -> None:
    """`factory` is ours; the rest is handed on."""
    detectors = load(write(tmp_path, "detectors: {mine: {factory: 'a.b:c', words: [x]}, text: }")).detectors
    assert (detectors["mine"].factory, detectors["mine"].options) == ("a.b:c", {"words": ["x"]})
    assert detectors["text"].options == {}


def test_a_configuration_cannot_be_changed() -> None:
    """What was validated at start is what runs."""
    with pytest.raises(ValidationError):
        Configuration().worker.slot = "9"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("page", "content"), list(pages()), ids=lambda value: value.name if isinstance(value, Path) else ""
)
def test_the_reference_is_not_stale(page: Path, content: str) -> None:
    """`python -m safestream.reference` would change nothing."""
    assert page.read_text(encoding="utf-8") == content

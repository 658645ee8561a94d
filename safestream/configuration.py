"""Every setting, with its default and its meaning: one YAML file and the environment, checked at start.

Precedence, strongest first: `SAFESTREAM_SECTION__KEY`, `KAFKA_BOOTSTRAP_SERVERS`, the YAML file, the default.
The page docs/reference/configuration.md is made from this file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from detectors.media.limits import Limits
from enforcement.ledger.settings import LedgerSettings
from safestream.mistakes import meant, phrase
from safestream.yaml_document import Document, read
from schemas import topics
from schemas.errors import UserMistake
from stream.ledger.settings import LedgerProcess
from stream.properties import is_secret, refusal

DEFAULT_FILE: Final = Path("safestream.yaml")


def _text(value: object) -> object:
    """A property's value as librdkafka writes it: YAML has booleans and numbers, librdkafka strings."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _allowed(name: str) -> str:
    why = refusal(name)
    if why:
        raise ValueError(f"can't be set: {why}")
    return name


class Properties(dict[str, str]):
    """Properties of a client library; shown without secrets."""

    def __repr__(self) -> str:
        return repr({name: "**********" if is_secret(name) else value for name, value in self.items()})


Value = Annotated[str, BeforeValidator(_text)]
Masked = Annotated[dict[str, Value], AfterValidator(Properties)]
KafkaProperties = Annotated[dict[Annotated[str, AfterValidator(_allowed)], Value], AfterValidator(Properties)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Kafka(_Section):
    """The broker."""

    bootstrap_servers: str = Field(
        default="127.0.0.1:9092", min_length=1, description="Brokers to start from: host:port, …"
    )
    properties: KafkaProperties = Field(
        default_factory=Properties,
        description="Any librdkafka property (security, buffers, timeouts), for every client. Those that would break "
        "exactly-once are refused by name.",
    )


class SchemaRegistry(_Section):
    """Where schemas are found. The folder that comes with Safestream is always there, under ids from 1,000,000."""

    url: str | None = Field(
        default=None, description="A Confluent-compatible registry; without one the folders are it."
    )
    properties: Masked = Field(
        default_factory=Properties, description="Of its client, such as `basic.auth.user.info`, `ssl.ca.location`."
    )
    folder: Path | None = Field(
        default=None, description="A folder of your own content types, beside the one that comes with Safestream."
    )


class ContentTopic(_Section):
    """A topic of content events. Its schema is the subject `<topic>-value`."""

    weight: float = Field(
        default=1.0, gt=0, description="Share of a batch, relative to the other topics, when all are behind."
    )


def _named(value: object) -> object:
    """A list of names is a mapping without settings, and so is a name with nothing behind it."""
    if isinstance(value, list | tuple):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a list has names only; write a mapping where a name has settings")
        return {name: {} for name in value}
    return {name: said or {} for name, said in value.items()} if isinstance(value, Mapping) else value


def _content_names(content: dict[str, ContentTopic]) -> dict[str, ContentTopic]:
    ours = [name for name in content if name.startswith("moderation.")]
    if ours:
        raise ValueError(f"{', '.join(ours)}: names that begin with moderation. are Safestream's own")
    return content


class Topics(_Section):
    """The topics of the pipeline. All have the same number of partitions, fixed when they are created."""

    partitions: int = Field(
        default=3, ge=1, description="Of every topic. Recorded at `topics create`; it can't change later."
    )
    replication_factor: int = Field(default=1, ge=1, description="Copies of each partition: 3 in production.")
    min_insync_replicas: int = Field(default=1, ge=1, description="Copies that must have a record: 2 in production.")
    content: Annotated[dict[str, ContentTopic], BeforeValidator(_named), AfterValidator(_content_names)] = Field(
        default_factory=lambda: dict.fromkeys(topics.CONTENT, ContentTopic()),
        min_length=1,
        description="Topics of content events: a list of names, or a mapping of name to `weight`. A new content type "
        "is a name here and a schema.",
    )


class Worker(_Section):
    """The process that turns events into decisions."""

    group: str = Field(default="safestream", pattern=r"^[\w.-]+$", description="Consumer group.")
    slot: str = Field(
        default="0",
        pattern=r"^[\w.-]+$",
        coerce_numbers_to_str=True,
        description="Name of this worker within its group, the same after a restart: two workers must not share one.",
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        default="classic",
        description="Kafka's group protocol: `classic`, or `consumer` (KIP-848, Kafka 4.0 and later).",
    )
    batch_size: int = Field(default=1000, ge=1, le=100_000, description="Most events of one batch and one transaction.")
    batch_window_ms: int = Field(
        default=100,
        ge=1,
        description="Longest wait for a batch to fill while the detectors have another, milliseconds.",
    )
    max_event_bytes: int = Field(
        default=1_000_000, ge=1, le=1_048_588, description="A larger value becomes a dead letter, bytes."
    )
    account_share: float = Field(
        default=0.5, gt=0, le=1, description="Most of a batch that one account may take while others wait."
    )
    drain_seconds: float = Field(
        default=8, gt=0, description="Time to commit what is under way at SIGTERM or a rebalance."
    )
    state_folder: Path | None = Field(
        default=None,
        description="Where the states of accounts are kept, if policy asks about accounts: 1 to 2 GB for 10⁶ accounts; "
        "null: `safestream/states` in the user's cache. It may be deleted, and is then read again.",
    )
    state_ready_deadline: float = Field(
        default=120,
        ge=0,
        description="Seconds for which content waits for the states of its accounts; then decisions say degraded.",
    )
    accepted_topic_ids: frozenset[str] = Field(
        default=frozenset(),
        description="Ids (32 hexadecimal digits) of topics that were created again and may begin a new chain.",
    )
    health_host: str = Field(default="127.0.0.1", description="Address of /metrics, /healthz and /readyz.")
    health_port: int | None = Field(
        default=None, ge=0, le=65535, description="Their port; 0 takes a free one, null has none."
    )


class Detector(_Section):
    """A detector. Every key but `factory` is an option of its own; relative paths begin in the file's folder."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    factory: str | None = Field(
        default=None,
        pattern=r"^[\w.]+:\w+$",
        description="`module:callable` that makes it; without one, the entry point of its name.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """What its factory is given."""
        return dict(self.__pydantic_extra__ or {})


class DetectorProcess(_Section):
    """The processes in which detectors run, apart from the consumer. Every limit is for one of them."""

    deadline_ms: int = Field(default=5000, ge=1, description="A record alone may keep a detector silent for so long.")
    memory_mb: int = Field(default=2048, ge=1, description="Growth over its size when ready, above which it is ended.")
    threads: int = Field(default=1, ge=1, description="Threads of a forward pass.")
    start_seconds: float = Field(default=120, gt=0, description="Time to load every detector and score once.")
    reuse_entries: int = Field(
        default=10_000,
        ge=0,
        description="Answers of one detector that are given again to identical events (text, language, for age "
        "also signals, no attachments); 0 scores each.",
    )
    reuse_seconds: float = Field(default=60, gt=0, description="How long an answer is given again.")


class Policy(_Section):
    """What is decided about scores."""

    pack: Path | None = Field(
        default=None, description="Folder of the policy pack; null takes the one with Safestream."
    )


class DeadLetters(_Section):
    """What can't be decoded."""

    max_attempts: int = Field(default=3, ge=1, description="Replays are given up after so many attempts.")
    signing_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Key that proves that a replay is ours; without one nothing can be replayed.",
    )


class Log(_Section):
    """Log lines, on standard error."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is console on a terminal, else JSON."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is written."
    )


class Configuration(BaseSettings):
    """Everything that can be set. Immutable; its `repr` shows no secret."""

    model_config = SettingsConfigDict(
        env_prefix="SAFESTREAM_",
        env_nested_delimiter="__",
        env_parse_none_str="null",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    kafka: Kafka = Kafka()
    schema_registry: SchemaRegistry = SchemaRegistry()
    topics: Topics = Topics()
    worker: Worker = Worker()
    detectors: Annotated[dict[str, Detector], BeforeValidator(_named)] = Field(
        default_factory=lambda: {"text": Detector(), "lexicon": Detector()},
        description="Detectors to run: name → options. A name is an entry point of the group `safestream.detectors`. "
        "Relative paths in options begin in the folder of this file.",
    )
    detector_process: DetectorProcess = DetectorProcess()
    media: Limits = Limits()
    policy: Policy = Policy()
    accounts: LedgerSettings = LedgerSettings()
    ledger: LedgerProcess = LedgerProcess()
    dead_letters: DeadLetters = DeadLetters()
    log: Log = Log()
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """Where relative paths in the detectors' options begin: the file's folder, without a file the current one."""
        return self._folder

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment is stronger than what the file says; nothing else is read."""
        return env_settings, init_settings


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """The configuration of this process.

    Args:
        path: the file; without one `SAFESTREAM_CONFIG`, else `safestream.yaml` here if there is one, else defaults.
        environment: read for the file's name and for what may be named wrong; values come from the process's own.

    Raises:
        UserMistake: every wrong key, with its file and line or its variable.
    """
    document = _document(path, environment)
    data = _with_broker(_absolute(document), environment)
    _check_variables(environment)
    try:
        configuration = Configuration(**data)
    except ValidationError as error:
        raise UserMistake(phrase(error, Configuration, document, environment)) from error
    except SettingsError as error:  # a variable that should hold JSON
        raise UserMistake(f"environment: {error} (JSON is expected there)") from error
    if document is not None:
        configuration._folder = document.path.parent.absolute()  # noqa: SLF001  # not a setting: no file can say it
    return configuration


def _document(path: Path | None, environment: Mapping[str, str]) -> Document | None:
    if path is None and environment.get("SAFESTREAM_CONFIG"):
        path = Path(environment["SAFESTREAM_CONFIG"])
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    return read(path) if path is not None else None


def _absolute(document: Document | None) -> dict[str, Any]:
    """What the file says, with its relative paths taken from the file's own folder."""
    if document is None:
        return {}
    data = dict(document.data)
    paths = (("policy", "pack"), ("schema_registry", "folder"), ("worker", "state_folder"), ("ledger", "folder"))
    for section, key in paths:
        said = data.get(section)
        if isinstance(said, dict) and isinstance(said.get(key), str):
            data[section] = said | {key: document.path.parent / said[key]}
    return data


def _with_broker(data: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """`KAFKA_BOOTSTRAP_SERVERS` is stronger than the file."""
    servers = environment.get("KAFKA_BOOTSTRAP_SERVERS")
    said = data.get("kafka") or {}
    if not servers or not isinstance(said, dict):
        return data
    return data | {"kafka": said | {"bootstrap_servers": servers}}


def _check_variables(environment: Mapping[str, str]) -> None:
    """A misspelt section would be ignored in silence by the settings library; a misspelt key within one is not."""
    sections = list(Configuration.model_fields)
    for name in environment:
        section = name.upper().removeprefix("SAFESTREAM_").split("__")[0].lower()
        if name.upper().startswith("SAFESTREAM_") and section not in {*sections, "config", "data"}:  # data: `train`
            raise UserMistake(f"{name}: no such setting{meant(section, sections)}")

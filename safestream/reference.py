"""Reference pages that are made from the code: `python -m safestream.reference` writes them, a test compares them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from detectors.loading.model_directory import Card
from detectors.loading.model_inventory import AnyCard
from safestream.cli import COMMANDS, command
from safestream.configuration import Configuration, ContentTopic, Detector
from schemas.metric_names import Metric
from schemas.reference import schemas_page
from stream.properties import REFUSED

FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"
_MADE: Final = "<!-- Made by `python -m safestream.reference`; change the code, not this page. -->\n"

_CONFIGURATION: Final = """# Configuration

One YAML file and the environment, checked at start: a wrong key is named with its line, and nothing runs. The file is
what `--config` names, else `SAFESTREAM_CONFIG`, else `safestream.yaml` in the working directory, else defaults alone.
Stronger than the file are `KAFKA_BOOTSTRAP_SERVERS` and, strongest, `SAFESTREAM_SECTION__KEY`, such as
`SAFESTREAM_WORKER__SLOT=2`; a mapping or a list is written there as JSON, no value as `null`. A relative path in the
file starts from the file's folder.

```yaml
kafka:
  bootstrap_servers: kafka-1:9092,kafka-2:9092
  properties: {security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, sasl.username: worker}
topics:
  replication_factor: 3
  min_insync_replicas: 2
  content:
    content.comments: {weight: 4}
    content.messages: {weight: 4}
    content.profile-signals: {}
worker: {group: safestream, slot: 0, health_port: 9100}
detectors: {text: {}}
```
"""


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    sections = [_section(name, field) for name, field in Configuration.model_fields.items()]
    refused = "\n".join(f"| `{name}` | {why} |" for name, why in REFUSED.items())
    return (
        f"{_MADE}{_CONFIGURATION}\n{''.join(sections)}## Properties that can't be set\n\n"
        f"| librdkafka property | because |\n|---|---|\n{refused}\n"
    )


def _section(name: str, field: FieldInfo) -> str:
    model = field.annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        nested = _table(ContentTopic, "topics.content.NAME") if name == "topics" else ""
        return f"## `{name}`\n\n{model.__doc__}\n\n{_table(model, name)}{nested}"
    return f"## `{name}`\n\n{field.description}\n\n{_table(Detector, f'{name}.NAME')}"


def _table(model: type[BaseModel], prefix: str) -> str:
    rows = "".join(
        f"| `{prefix}.{key}` | {_default(field)} | {field.description} |\n" for key, field in model.model_fields.items()
    )
    return f"| key | default | meaning |\n|---|---|---|\n{rows}\n"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined:
        return "`null`"
    if isinstance(value, Mapping):
        return f"`[{', '.join(value)}]`" if value else "`{}`"
    if value == frozenset():
        return "`[]`"
    return f"`{value}`"


_METRICS: Final = """# Metrics

A worker serves them at `/metrics` of `worker.health_port`, beside `/healthz` (should it be restarted?) and `/readyz`
(does it decide events?). Names and labels stand in `schemas/metric_names.py`; `process_…` metrics (memory, CPU, open
files) come with them. Alerts that use them: `deploy/prometheus/alerts.yaml`.

"""


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    rows = "".join(
        f"| `{metric.value}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |\n" for metric in Metric
    )
    return f"{_MADE}{_METRICS}| name | kind | labels | what it says |\n|---|---|---|---|\n{rows}"


_COMMANDS: Final = """# The command line

`safestream COMMAND --help` says the same. Exit codes: 0 fine, 1 the check found something, 2 the user's mistake (one
line on standard error that says what to do), 3 fenced by another worker of the same slot, 4 fatal, 130 interrupted.
"""


def command_line_page() -> str:
    """docs/reference/command-line.md."""
    return f"{_MADE}{_COMMANDS}{''.join(_command('safestream', name, command(name)) for name in COMMANDS)}"


def _command(above: str, name: str, found: Any) -> str:
    """A command's section; a group's with those of its commands."""
    path = f"{above} {name}"
    if isinstance(found, TyperGroup):
        return f"\n## {path}\n\n{_prose(found.help)}\n" + "".join(
            _command(path, each, below) for each, below in found.commands.items()
        )
    arguments = [each for each in found.params if each.param_type_name == "argument"]
    options = [each for each in found.params if each.param_type_name == "option"]
    usage = " ".join([path, *(_placeholder(each) for each in arguments)])
    rows = [(f"`{_placeholder(each)}`", each.help) for each in arguments]
    rows += [(f"`{', '.join(each.opts)}`", each.help) for each in options]
    level = "##" if above == "safestream" else "###"
    table = "".join(f"| {label} | {help_ or ''} |\n" for label, help_ in rows)
    return f"\n{level} {usage}\n\n{_prose(found.help)}\n" + (f"\n| | |\n|---|---|\n{table}" if table else "")


def _placeholder(argument: Any) -> str:
    name = str(argument.metavar or argument.name).upper()
    return f"[{name}]" if not argument.required else name


def _prose(text: str | None) -> str:
    """A docstring's paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def card_schema(card: type[BaseModel]) -> str:
    """JSON Schema of a model's card: docs/reference/*card.schema.json."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": _MADE.strip("<!->\n ")}
    return json.dumps(made | card.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that is made, and what it should say."""
    yield FOLDER / "configuration.md", configuration_page()
    yield FOLDER / "metrics.md", metrics_page()
    yield FOLDER / "command-line.md", command_line_page()
    yield FOLDER / "schemas.md", f"{_MADE}{schemas_page()}"
    yield FOLDER / "card.schema.json", card_schema(AnyCard)
    yield FOLDER / "text-card.schema.json", card_schema(Card)


if __name__ == "__main__":
    for page, content in pages():
        page.write_text(content, encoding="utf-8")

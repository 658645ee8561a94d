"""A YAML file as data, together with the line of every key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.errors import UserMistake

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]  # counted from 1

    def line(self, place: Place) -> int | None:
        """Line of the nearest key on the way to `place`; None where the file doesn't mention even the first."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def read(path: Path) -> Document:
    """A YAML file whose root is a mapping; an empty file is an empty one.

    Raises:
        UserMistake: no such file, not readable, no YAML, no mapping, a key twice in one mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserMistake(f"{path}: can't be read: {reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserMistake(f"{path}{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise UserMistake(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict | None):
        raise UserMistake(f"{path}:1: a mapping of sections is expected, such as `kafka:` or `worker:`")
    lines: dict[Place, int] = {}
    if root is not None:
        _note_lines(root, (), lines, path)
    return Document(path, {str(key): value for key, value in (data or {}).items()}, lines)


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*place, str(key.value))
            if here in lines:
                raise UserMistake(f"{path}:{key.start_mark.line + 1}: {key.value}: twice in the same mapping")
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*place, index] = value.start_mark.line + 1
            _note_lines(value, (*place, index), lines, path)

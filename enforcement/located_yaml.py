"""YAML that remembers where each value stands, so that a mistake is named by file, line and column, all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from schemas.errors import UserMistake

Place: TypeAlias = Sequence[str | int]  # keys and indices from the document's root


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake, or with `notice` one thing worth a look. Lines and columns count from 1."""

    path: Path
    line: int
    column: int
    message: str
    notice: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {'notice: ' if self.notice else ''}{self.message}"


class Mistakes(UserMistake):
    """All that is wrong with some files. Its message is one line: the first problem, and how many more there are."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems)
        more = f" (and {len(problems) - 1} more; `safestream policy check` shows all)" if len(problems) > 1 else ""
        super().__init__(f"{self.problems[0]}{more}")


class Document:
    """One YAML file: its data, and where each part of it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _read(path)
        try:
            self._root = yaml.compose(self.text, Loader=yaml.SafeLoader)
            repeated = list(_repeated_keys(self._root))
            self.data: Any = None if repeated else yaml.safe_load(self.text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise Mistakes([Problem(path, *where, error.problem or "not YAML")]) from None
        except (yaml.YAMLError, ValueError) as error:  # a character that YAML does not allow; a date that is none
            raise Mistakes([Problem(path, 1, 1, str(error).splitlines()[0])]) from None
        if repeated:
            raise Mistakes([self._at(node, f"the key {node.value!r} stands here a second time") for node in repeated])

    def problem(self, place: Place, message: str, *, notice: bool = False) -> Problem:
        """A problem with what stands at `place`, or with the nearest thing around it that is there."""
        node = self._root
        for step in place:
            inner = _step(node, step)
            if inner is None:
                break
            node = inner
        return self._at(node, message, notice=notice)

    def _at(self, node: Any, message: str, *, notice: bool = False) -> Problem:
        mark = node.start_mark if node is not None else None
        return Problem(self.path, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, message, notice)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserMistake(f"{path}: can't be read: {reason}") from None


def _step(node: Any, step: str | int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _repeated_keys(node: Any) -> Any:
    """Keys that stand twice in one mapping: YAML forbids it, PyYAML lets the last win."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)

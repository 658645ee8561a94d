"""What is wrong with a configuration, in words: the key, where it was said, and what was probably meant."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from safestream.yaml_document import Document, Place


def phrase(
    error: ValidationError, model: type[BaseModel], document: Document | None, environment: Mapping[str, str]
) -> str:
    """Every wrong key on one line, each with its file and line or its variable."""
    wrong = [
        _one(detail["type"], detail["msg"], detail["loc"], model, document, environment) for detail in error.errors()
    ]
    return "; ".join(wrong)


def _one(
    kind: str,
    message: str,
    place: Place,
    model: type[BaseModel],
    document: Document | None,
    environment: Mapping[str, str],
) -> str:
    place = tuple(part for part in place if part != "[key]")  # how the library says that the name itself is wrong
    said = _said_at(place, document, environment)
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        return f"{said}{name}: no such key{meant(str(place[-1]), _keys(model, place[:-1]))}"
    return f"{said}{name}: {_plain(message)}"


def meant(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: the known one that is close, else all that are known."""
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else f" (known: {', '.join(known)})"


def _plain(message: str) -> str:
    """Pydantic's sentence, as the end of ours."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _said_at(place: Place, document: Document | None, environment: Mapping[str, str]) -> str:
    variable = _variable(place, environment)
    if variable:
        return f"{variable}: "
    if document is None:
        return ""
    line = document.line(place)
    return f"{document.path}:{line}: " if line else f"{document.path}: "


def _variable(place: Place, environment: Mapping[str, str]) -> str | None:
    """The variable that says `place`, if one does: the environment is stronger than the file."""
    for length in range(len(place), 0, -1):
        name = "SAFESTREAM_" + "__".join(str(part) for part in place[:length]).upper()
        for variable in environment:
            if variable.upper() == name:
                return variable
    return None


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    """The keys known at `place`; mappings whose keys are free are stepped over."""
    current: Any = model
    for part in place:
        field = current.model_fields.get(str(part)) if _is_model(current) else None
        if field is not None:
            current = field.annotation
        elif not _is_model(current):  # a key of a mapping: dict[str, Model]
            current = getattr(current, "__args__", (None, None))[1]
    return list(current.model_fields) if _is_model(current) else []


def _is_model(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)

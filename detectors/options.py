"""A detector's options, as configuration gives them, made into what the detector says they are."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import UserMistake

_Options = TypeVar("_Options", bound=BaseModel)


def checked(shape: type[_Options], options: Mapping[str, Any]) -> _Options:
    """The options as `shape`; UserMistake names the first that is wrong (`detectors.interface.build` says whose)."""
    try:
        return shape.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserMistake(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

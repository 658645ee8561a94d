"""What a detector's version looks like: a content hash, or that of a model that nobody has evaluated yet."""

from typing import Final

_DRAFT: Final = "draft-"


def draft(version: str) -> str:
    """The version of a model whose card is a draft. Scores may be looked at; no threshold can belong to them."""
    return version if is_draft(version) else _DRAFT + version


def is_draft(version: str) -> bool:
    """Whether the model behind it was not evaluated."""
    return version.startswith(_DRAFT)

"""What a training starts from: every row of the public sets and of our own cases."""

from pathlib import Path

from detectors.training import contrast, datasets
from detectors.training.rows import Examples


def gather(data: Path, own: Path, fillings: int) -> tuple[Examples, dict[str, str]]:
    """Public sets, and contrast cases with at most so many `fillings` of a template; and the digest of every file."""
    rows, digests = datasets.load(data)
    cases, more = contrast.load(own, fillings)
    return Examples.of(rows + cases), digests | more

"""The one fetcher of a process: detectors that look at the same attachment share its bytes."""

from detectors.media.fetch import Fetcher
from detectors.media.limits import Limits

_fetcher = Fetcher(Limits())


def use(limits: Limits) -> None:
    """From now on fetch within these limits; what was fetched is forgotten."""
    global _fetcher  # noqa: PLW0603 - one for each process, as the network is
    _fetcher = Fetcher(limits)


def fetcher() -> Fetcher:
    """The fetcher. Unless told otherwise it reads data URIs only."""
    return _fetcher

"""The detectors as configuration and policy pack have them: who runs where, with which options, who is asked when."""

from collections.abc import Collection

import structlog

from detectors.interface import DetectorSpec, ProcessSettings
from detectors.runtime.client import DetectorClient
from enforcement.cascade import Asker
from enforcement.packs import Pack
from enforcement.second_look import wanted
from safestream.configuration import Configuration
from schemas.errors import UserMistake
from stream.caution import SOLO_DEATHS

_log = structlog.get_logger(__name__)


def start_detectors(settings: Configuration, pack: Pack, *, second_look: bool = False) -> DetectorClient:
    """The configured detectors, loaded and warm in a process of their own.

    Raises:
        UserMistake: a detector that is to look again is not configured, or there is none.
    """
    elsewhere = {name for name, asking in pack.file.detectors.items() if asking.second_look}
    if second_look:
        _require(settings, pack, elsewhere)
    chosen = [name for name in settings.detectors if (name in elsewhere) == second_look]
    later = chosen if second_look else [name for name in chosen if name in pack.file.detectors]
    detectors = DetectorClient(
        [spec_of(name, settings, pack) for name in chosen],
        process_settings(settings),
        ask=(lambda events, _: wanted(events, later)) if second_look else Asker(pack, later),
        later=later,
    )
    try:
        detectors.start(lambda line: _log.info("detectors", state=line))
    except BaseException:  # told to stop while they load
        detectors.close()
        raise
    return detectors


def process_settings(settings: Configuration) -> ProcessSettings:
    """How the configuration wants detector processes watched."""
    process = settings.detector_process
    return ProcessSettings(
        deadline_ms=process.deadline_ms,
        memory_mb=process.memory_mb,
        threads=process.threads,
        start_seconds=process.start_seconds,
        reuse_entries=process.reuse_entries,
        reuse_seconds=process.reuse_seconds,
        media=settings.media.model_dump(mode="json", exclude_defaults=True),
        folder=str(settings.folder),
        max_attempts=SOLO_DEATHS,
    )


def _require(settings: Configuration, pack: Pack, elsewhere: Collection[str]) -> None:
    if not elsewhere:
        raise UserMistake(f"{pack.folder}: no detector has `second_look: true`, so there is nothing to look at again")
    if missing := sorted(set(elsewhere) - set(settings.detectors)):
        raise UserMistake(f"{pack.folder}: {missing[0]!r} is to look again: configure it under detectors")


def spec_of(name: str, settings: Configuration, pack: Pack) -> DetectorSpec:
    """A detector as configured, with the policies that the pack has for it."""
    configured, asking = settings.detectors[name], pack.file.detectors.get(name)
    policies = {"policies": dict(asking.policies)} if asking and asking.policies else {}
    return DetectorSpec(name, configured.options | policies, configured.factory)

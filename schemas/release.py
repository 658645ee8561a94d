"""Releasing a working draft: into the folder's history, and into a Confluent registry where one is configured."""

from dataclasses import dataclass

from schemas.checks import Finding, check_draft
from schemas.confluent import ConfluentRegistry, Refused
from schemas.errors import UserMistake
from schemas.folder import Folder, Release, read_schema
from schemas.wire import subject_of


@dataclass(frozen=True, slots=True)
class Released:
    """What `release` did for a topic."""

    release: Release
    is_new: bool  # False: the draft was released before, nothing was written
    remote_id: int | None = None  # its id in the Confluent registry


class Incompatible(ValueError):
    """The draft must not be released: `findings` say why."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = findings


def release(folder: Folder, topic: str, remote: ConfluentRegistry | None) -> Released:
    """Release the draft of a topic, if it differs from the last version; then register every version remotely.

    Older versions go first, so that the registry too holds the newest against all of them. The folder keeps the history
    either way: the gate needs no registry.

    Raises:
        Incompatible: the gate found something.
        UserMistake: no draft, a folder that can't be written, or the registry refuses.
        Retriable: the registry does not answer; run it again.
    """
    path = folder.drafts().get(topic)
    if path is None:
        raise UserMistake(
            f"{folder.root / 'avro' / topic}.avsc: no such draft; `safestream schemas scaffold` writes one"
        )
    errors = [finding for finding in check_draft(folder, topic, path) if not finding.notice]
    if errors:
        raise Incompatible(errors)
    done = _into_folder(folder, topic, path.read_text(encoding="utf-8"))
    if remote is None:
        return done
    for each in folder.releases_of(topic):
        number = _into_registry(remote, each)
    return Released(done.release, done.is_new, number)


def _into_folder(folder: Folder, topic: str, text: str) -> Released:
    releases = folder.releases_of(topic)
    if releases and read_schema(releases[-1].path) == read_schema(folder.drafts()[topic]):
        return Released(releases[-1], is_new=False)
    try:
        return Released(folder.release(topic, text), is_new=True)
    except OSError as error:
        raise UserMistake(
            f"{error.filename}: can't be written ({error.strerror}); a released schema belongs to a folder of your own"
        ) from None


def _into_registry(remote: ConfluentRegistry, each: Release) -> int:
    try:
        return remote.register(subject_of(each.topic), each.path.read_text(encoding="utf-8"))
    except Refused as error:
        raise UserMistake(
            f"{each.path}: {remote.url} refuses it under {subject_of(each.topic)} ({error}); "
            "what is registered there did not come from this folder"
        ) from None

"""`safestream schemas`: the gate for schemas, their release, and the first draft of a new content type."""

from pathlib import Path
from typing import Annotated

import typer

from safestream.configuration import Configuration, load
from safestream.options import ConfigFile
from schemas import scaffold as scaffolding
from schemas.checks import Finding, check
from schemas.confluent import ConfluentRegistry
from schemas.errors import Retriable, UserMistake
from schemas.folder import BUILT_IN, Folder
from schemas.release import Incompatible, Released, release

app = typer.Typer(add_completion=False, no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", help="Folder of schemas; else schema_registry.folder.", show_default=False),
]


@app.command("check")
def check_command(folder: FolderOption = None, config: ConfigFile = None) -> None:
    """Check every draft: valid, described, and FULL_TRANSITIVE with all that was ever released. Exit code 1 if not."""
    folders = [_folder(folder)] if folder else _configured_folders(load(config))
    findings = [finding for each in folders for finding in check(each)]
    _show(findings)
    errors = sum(not finding.notice for finding in findings)
    drafts = sum(len(each.drafts()) for each in folders)
    print(f"{drafts} schemas checked, {errors} findings" if errors else f"{drafts} schemas checked, all compatible")
    if errors:
        raise typer.Exit(1)


@app.command()
def register(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Topics; all drafts of the folder if none is named.")
    ] = None,
    folder: FolderOption = None,
    url: Annotated[str | None, typer.Option(help="Registry; else schema_registry.url.", show_default=False)] = None,
    config: ConfigFile = None,
) -> None:
    """Release drafts as the next version of their topics, in the folder and, where one is configured, in a registry."""
    settings = load(config)
    chosen = _chosen([_folder(folder)] if folder else _configured_folders(settings), topics or [])
    remote = _remote(url or settings.schema_registry.url, settings)
    try:
        for home, topic in chosen:
            print(_sentence(release(home, topic, remote)))
    except Incompatible as refused:
        _show(refused.findings)
        print("not released")
        raise typer.Exit(1) from None
    except Retriable as error:
        raise UserMistake(f"{error}; start it, or correct schema_registry.url") from error
    finally:
        if remote is not None:
            remote.close()


@app.command()
def scaffold(
    name: Annotated[str, typer.Argument(help="Such as playlist-title: the topic becomes content.playlist-title.")],
    folder: FolderOption = None,
    config: ConfigFile = None,
) -> None:
    """Write the first draft of a new content type, and say what to do next."""
    settings = load(config)
    root = folder or settings.schema_registry.folder
    if root is None:
        raise UserMistake("no folder for your own schemas; name one with --folder, or set schema_registry.folder")
    topic = scaffolding.topic_for(name)
    path = scaffolding.write(root, topic)
    content = ", ".join([*settings.topics.content, topic])
    print(
        f"wrote {path}\n\n"
        "1. Make its fields those of your events; a role says what detectors read.\n"
        f"2. safestream schemas check --folder {root}\n"
        f"3. safestream schemas register --folder {root}\n"
        "4. Put into the configuration, then run safestream topics create and start the worker again:\n\n"
        f"schema_registry:\n  folder: {root.resolve()}\ntopics:\n  content: [{content}]"
    )


def _folder(path: Path) -> Folder:
    if not path.is_dir():
        raise UserMistake(f"{path}: no such folder; `safestream schemas scaffold NAME --folder {path}` makes it")
    return Folder(path)


def _chosen(folders: list[Folder], topics: list[str]) -> list[tuple[Folder, str]]:
    """The drafts of these topics, or all there are, each with the folder that has it."""
    drafts = {topic: folder for folder in folders for topic in folder.drafts()}
    unknown = [topic for topic in topics if topic not in drafts]
    if unknown or not drafts:
        where = ", ".join(str(folder.root / "avro") for folder in folders)
        raise UserMistake(f"no draft {', '.join(unknown)} in {where}; `safestream schemas scaffold` writes one")
    return [(drafts[topic], topic) for topic in topics or drafts]


def _configured_folders(settings: Configuration) -> list[Folder]:
    """Ours, then the user's."""
    own = settings.schema_registry.folder
    return [Folder(BUILT_IN), *([_folder(own)] if own is not None else [])]


def _remote(url: str | None, settings: Configuration) -> ConfluentRegistry | None:
    return ConfluentRegistry(url, settings.schema_registry.properties) if url else None


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        print(f"{'note: ' if finding.notice else ''}{finding}")


def _sentence(done: Released) -> str:
    at = f"{done.release.topic}: version {done.release.version}, id {done.release.id}"
    remote = f", id {done.remote_id} in the registry" if done.remote_id is not None else ""
    return f"{at}{'' if done.is_new else ' (released before)'}{remote}"

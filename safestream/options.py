"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The YAML file; else SAFESTREAM_CONFIG, else safestream.yaml here.", show_default=False
    ),
]

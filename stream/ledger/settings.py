"""How the ledger's process runs."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LedgerProcess(BaseModel):
    """The process that keeps the state of accounts (`safestream ledger`). What it keeps: `accounts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(default="safestream-ledger", pattern=r"^[\w.-]+$", description="Consumer group.")
    slot: str = Field(
        default="0",
        pattern=r"^[\w.-]+$",
        coerce_numbers_to_str=True,
        description="Name of this process within its group, the same after a restart: two must not share one.",
    )
    folder: Path = Field(
        default=Path("ledger"),
        description="Folder of the states on disk, one below it for each slot. On a volume that survives a restart: "
        "without it everything is read again from moderation.account-state.",
    )
    session_seconds: float = Field(
        default=10, ge=6, le=60, description="The broker gives a silent process's partitions to another after so long."
    )
    stuck_seconds: float = Field(
        default=60, ge=5, description="The process ends if records wait for so long and none is acknowledged."
    )
    health_host: str = Field(default="127.0.0.1", description="Address of /metrics, /healthz and /readyz.")
    health_port: int | None = Field(
        default=None, ge=0, le=65535, description="Their port; 0 takes a free one, null has none."
    )

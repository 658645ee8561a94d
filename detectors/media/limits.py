"""Where media may be fetched from, and how much of what: the section `media` of the configuration."""

import ipaddress
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MEGABYTE: Final = 1 << 20


class Limits(BaseModel):
    """Bounds of everything that is fetched. Without an allow-list only bytes in the event itself are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow: tuple[str, ...] = Field(
        default=(),
        description="Addresses that may be fetched, by their beginning: scheme, host and a path that ends with /, "
        "such as https://cdn.example.com/, s3://bucket/, file:///srv/media/. Data URIs are always read.",
    )
    private_networks: tuple[IpNetwork, ...] = Field(
        default=(),
        description="Networks that are not public and may be fetched from all the same, such as 10.1.0.0/16, for a "
        "store of your own. An allowed host that resolves to any other address that is not public is refused.",
    )
    storage: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Scheme → options of its fsspec file system, such as endpoint_url of s3."
    )
    max_bytes: int = Field(default=20 * _MEGABYTE, ge=1, description="Most bytes of one file.")
    timeout_seconds: float = Field(default=5.0, gt=0, description="Most time for one file, from request to last byte.")
    max_redirects: int = Field(default=2, ge=0, description="Each is checked as an address of its own.")
    max_pixels: int = Field(default=40_000_000, ge=1, description="Most pixels of one frame of an image.")
    max_aspect: int = Field(
        default=2_000, ge=1, description="Most times that one side of an image is as long as the other."
    )
    max_frames: int = Field(default=8, ge=1, description="Frames looked at of an animated image, evenly spread.")

    @field_validator("allow")
    @classmethod
    def _whole(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            scheme, found, rest = each.partition("://")
            if not (found and scheme.isalnum() and rest.endswith("/")) or (rest == "/" and scheme != "file"):
                raise ValueError(f"{each}: scheme://host/ is expected, with a / at the end")
        return value

"""Data URIs (RFC 2397): the bytes of a file in the event itself."""

import base64
import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

from detectors.media.errors import MediaError

_LONGEST_HEAD: Final = 256  # characters before the comma: a media type and its parameters


def data_of(uri: str, max_bytes: int) -> bytes:
    """The bytes that a `data:` URI holds.

    Raises:
        MediaError: not one, badly encoded, or larger than `max_bytes`.
    """
    comma = uri.find(",", 0, _LONGEST_HEAD)
    if comma < 0:
        raise MediaError("a data URI without a comma where one must be")
    if len(uri) - comma > 4 * max_bytes + 1:  # before anything is copied: 4/3 for base64, 3 for percent-encoding
        raise MediaError(f"more than {max_bytes} bytes")
    head, body = uri[:comma], uri[comma + 1 :]
    if head.lower().endswith(";base64"):
        try:
            data = base64.b64decode(unquote_to_bytes(body), validate=True)
        except binascii.Error:
            raise MediaError("a data URI that is not base64") from None
    else:
        data = unquote_to_bytes(body)
    if len(data) > max_bytes:
        raise MediaError(f"more than {max_bytes} bytes")
    return data

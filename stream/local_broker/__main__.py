"""`python -m stream.local_broker`: fetch the image or the jars now, with progress, so that nobody waits later."""

import os
import sys

from schemas.errors import UserMistake
from stream.local_broker.choice import prepare


def main() -> int:
    """Exit code 2 and one line if no broker can be had."""
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return 0
    try:
        prepare(lambda line: print(line, flush=True))  # noqa: T201
    except UserMistake as mistake:
        print(mistake, file=sys.stderr)  # noqa: T201
        return 2
    return 0


sys.exit(main())

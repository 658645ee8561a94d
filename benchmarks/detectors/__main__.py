"""What the detectors reach, as ratios to what a user would do instead.

make bench-detectors [ARGS="forward worker known second-look guard cascade age --texts 3000 --repeats 3 --rows 300"]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.detectors import age, cascade, forward, guard, known, second_look, worker


def main() -> None:
    """Print the parts that are asked for, or all."""
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "forward": lambda options: forward.run(options.texts, options.repeats),
        "worker": lambda options: worker.run(options.texts, options.repeats),
        "known": lambda _: known.run(),
        "second-look": lambda options: second_look.run(options.repeats),
        "guard": lambda options: guard.run(options.messages),
        "cascade": lambda options: cascade.run(options.data, options.rows),
        "age": lambda options: age.run(options.profiles, options.repeats),
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help="default: all")
    parser.add_argument("--texts", type=int, default=3000, help="forward, worker")
    parser.add_argument("--repeats", type=int, default=3, help="forward, worker, second-look, age")
    parser.add_argument("--profiles", type=int, default=20_000, help="age")
    parser.add_argument("--messages", type=int, default=32, help="guard")
    parser.add_argument("--rows", type=int, default=300, help="cascade: labelled messages, half of them hateful")
    parser.add_argument("--data", type=Path, help="cascade: folder with the data sets; default as `safestream train`")
    options = parser.parse_args()
    for part in options.parts or parts:
        print(f"== {part}", flush=True)
        parts[part](options)


if __name__ == "__main__":
    main()

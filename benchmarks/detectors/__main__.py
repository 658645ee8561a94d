"""What the detectors reach, as ratios to what a user would do instead.

make bench-detectors [ARGS="forward worker known second-look guard --texts 3000 --repeats 3"]
"""

import argparse

from benchmarks.detectors import forward, known, second_look, worker

PARTS = ("forward", "worker", "known", "second-look")


def main() -> None:
    """Print the parts that are asked for, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for part in options.parts or PARTS:
        print(f"== {part}", flush=True)
        if part == "forward":
            forward.run(options.texts, options.repeats)
        elif part == "worker":
            worker.run(options.texts, options.repeats)
        elif part == "known":
            known.run()
        elif part == "second-look":
            second_look.run(options.repeats)


if __name__ == "__main__":
    main()

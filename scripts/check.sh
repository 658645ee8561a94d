#!/bin/sh
# The gates, quick ones first, then the tests. Pytest's summary is the last thing printed.
# Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

gate() { echo "== $*"; "$@"; }

bin=.venv/bin
gate $bin/ruff format --check .
gate $bin/ruff check .
gate $bin/mypy
gate $bin/lint-imports
if [ "${1-}" = --gates-only ]; then exit; fi
gate $bin/python -m stream.local_broker
echo "== tests"
exec $bin/python -m pytest -n 3 --dist loadfile --cov --cov-report=term "$@"

#!/bin/sh
# Makes .venv: Python 3.11 or newer, every dependency by version and hash, and this project, editable.
# Needs Python 3.11+ and, the first time, the network. Touches nothing outside this folder but uv's cache.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() { # `python3` may be older than what else is installed; the lock was made for 3.11
  for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python /usr/bin/python3; do
    if is_new_enough "$name"; then command -v "$name"; return; fi
  done
  fail "no Python 3.11 or newer here ($(python3 -V 2>&1 || echo none)); Debian, Ubuntu: sudo apt-get install -y" \
    "python3.11 python3.11-venv; Fedora: sudo dnf install -y python3.11; macOS: brew install python@3.11;" \
    "or name one: make setup PYTHON=/path/to/python3.11"
}

bootstrap_uv() { # into .uv of this folder, by hash; without the venv module (Debian splits it off) by pip alone
  echo "setup: fetching uv" >&2
  rm -rf .uv
  if "$1" -m venv .uv >/dev/null 2>&1; then
    .uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt >&2
  elif "$1" -m pip --version >/dev/null 2>&1; then
    "$1" -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt --target .uv >&2
  else
    fail "$1 has neither venv nor pip: sudo apt-get install -y python3-venv (or install uv: https://docs.astral.sh/uv)"
  fi || fail "uv could not be fetched: is there a network?"
}

find_uv() {
  if uv --version >/dev/null 2>&1; then echo uv; return; fi
  [ -x .uv/bin/uv ] || bootstrap_uv "$1"
  echo .uv/bin/uv
}

python=$(find_python)
uv=$(find_uv "$python")
export UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV="$PWD/.venv"

if [ "${1-}" = rivals ]; then # the benchmarks' rivals pin another Kafka client: an environment of their own
  export VIRTUAL_ENV="$PWD/.venv-bench"
  is_new_enough .venv-bench/bin/python || "$uv" venv -q --clear --python "$python" .venv-bench
  exec "$uv" pip sync -q --require-hashes requirements/bench.txt
fi

if ! is_new_enough .venv/bin/python; then
  echo "setup: making .venv with $("$python" -V)" >&2
  "$uv" venv -q --clear --python "$python" .venv
fi
echo "setup: installing what requirements/lock.txt names (a few GB with PyTorch; minutes the first time)" >&2
"$uv" pip sync --require-hashes requirements/lock.txt ||
  fail "the dependencies could not be installed: is there a network? (uv's reason stands above)"
"$uv" pip install -q --no-deps --no-build-isolation --no-index -e .
echo "setup: done" >&2

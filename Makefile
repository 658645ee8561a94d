# `make` lists the targets. Everything happens in .venv of this folder and in the user's cache.
PYTHON ?=
VENV := .venv
READY := $(VENV)/.ready
RIVALS := .venv-bench/.ready
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format faults faults-ledger bench-ledger bench-stream bench-detectors train train-age-demo lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## Python environment with pinned dependencies (the other targets do it by themselves)

$(READY): requirements/lock.txt requirements/uv.txt pyproject.toml scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh
	@touch $@

demo: setup  ## Everything on this machine, on real comments, with a live view
	@$(VENV)/bin/safestream demo $(ARGS)

test: setup  ## Gates and tests, on a real broker; ARGS="-k chain" goes to pytest
	@sh scripts/check.sh $(ARGS)

lint: setup  ## The gates alone: format, lint, types, arrows between packages
	@sh scripts/check.sh --gates-only

format: setup  ## Format, and fix what can be fixed by itself
	@$(VENV)/bin/ruff check -q --fix . ; $(VENV)/bin/ruff format .

faults: setup  ## Workers and broker killed at random under 200,000 events, then every offset accounted for (SEED=…)
	@$(PY) -m stream.local_broker
	@$(PY) -m tests.fault.run $(if $(SEED),--seed $(SEED)) $(ARGS)

faults-ledger: setup  ## The account ledger killed 20 times, frozen, rebalanced: every state byte by byte (SEED=…)
	@$(PY) -m stream.local_broker
	@$(PY) -m tests.fault.ledger.run $(if $(SEED),--seed $(SEED)) $(ARGS)

$(RIVALS): requirements/bench.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh rivals
	@touch $@

bench-stream: setup $(RIVALS)  ## Throughput and latency against the raw loop, faust and quixstreams, as ratios
	@$(PY) -m stream.local_broker
	@$(PY) -m benchmarks.stream $(ARGS)

bench-detectors: setup  ## The detectors, as ratios; ARGS="forward worker known second-look guard cascade age" or some of them
	@$(PY) -m stream.local_broker
	@$(PY) -m benchmarks.detectors $(ARGS)

bench-ledger: setup  ## The account ledger: inputs a second, a burst of 100,000, recovery after kill -9
	@$(PY) -m stream.local_broker
	@$(PY) -m benchmarks.ledger $(ARGS)

train: setup  ## Train the text detector anew: the weights in detectors/models
	@$(VENV)/bin/safestream train text $(ARGS)

train-age-demo: setup  ## The bundled age model anew from its simulated population: byte for byte what detectors/models has
	@rm -rf build/age-demo && mkdir -p build
	@$(PY) -m detectors.training.age.population --rows 100000 --seed 1 --out build/listeners.csv
	@OMP_NUM_THREADS=1 $(VENV)/bin/safestream train age --members 2 --seed 6 --table build/listeners.csv \
	  --spec detectors/training/age/specs/listening.yaml --out build/age-demo
	@diff -r build/age-demo detectors/models/age-demo && echo "the same as the bundled one"

lock: setup  ## Write requirements/lock.txt, and runtime.txt for the image, anew from pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --extra train --extra audio --extra image --extra face --extra llm --extra ledger --group dev pyproject.toml -o requirements/lock.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes -c requirements/lock.txt --extra ledger pyproject.toml -o requirements/runtime.txt

clean:  ## Remove what set-up and tests left in this folder
	rm -rf $(VENV) .venv-bench .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*

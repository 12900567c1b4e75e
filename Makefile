# Two commands do everything: `make demo` and `make test`.
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help setup demo test check bench crash soak format lock

help:  ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1	\2/p' $(MAKEFILE_LIST)

setup: .venv/.ready  ## Make the project's own environment in .venv
	@$(PY) -m compileall -q src  # a process that starts must not translate hundreds of files first

.venv/.ready: requirements-dev.lock pyproject.toml tools/setup.sh $(wildcard tools/pins/*.lock)
	@tools/setup.sh

demo: setup  ## Run the demonstration station, dashboard at http://127.0.0.1:8000
	@exec .venv/bin/kymograph serve stations/demo.toml

test: setup  ## Install what the tests need and run them all
	@tools/setup.sh tests
	$(PY) -m pytest -q -n 2 tests/unit tests/conformance
	# in this order: the longest files first, so that both ends of the work end together
	$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/crash tests/system tests/browser

check: setup  ## Formatting, lint, types, and the floors of the house
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports
	$(PY) tools/measures.py

format: setup  ## Put every file into the house's format
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: setup  ## Measure beside the peers, and print the ratios
	@tools/setup.sh tests
	$(PY) -m tests.bench

crash: setup  ## The long fault suites
	@tools/setup.sh tests
	$(PY) -m pytest -q -m "slow or not slow" tests/crash

lock: setup  ## Write the lock files anew from pyproject.toml
	@tools/setup.sh lock

soak: setup  ## An hour under load
	@tools/setup.sh tests
	$(PY) -m tests.bench.soak

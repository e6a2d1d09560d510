# Needs Python 3.11 or newer and make, nothing else: everything is installed into .venv, nothing as root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PRODUCTION := build/production
DEMO := .demo
SIMULATED := --simulate --simulate-state $(DEMO)/azure.json

# The versions that constraints.txt names also hold for what a build needs.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help venv fmt lint types contracts test laws check e2e neighbours image chart bench demo peers constraints clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.dev ## Install everything, development tools included, into .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Two stamps, so that the demo does not wait for tools that it does not use, and a second run for nothing at all.
$(VENV)/.run: $(BIN)/python setup.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/.run ## See it work: plan, converge and plan again on a simulated Azure
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@echo; echo "== 1. What would be done? Nothing is written."; echo
	@$(BIN)/reconciler once --dry-run $(SIMULATED) desired_state/demo; test $$? -eq 2
	@echo; echo "== 2. Do it, and wait until it is done."; echo
	@$(BIN)/reconciler once --yes $(SIMULATED) desired_state/demo
	@echo; echo "== 3. And now? Nothing to do."; echo
	@$(BIN)/reconciler once --dry-run $(SIMULATED) desired_state/demo

check: lint types contracts test ## All that must hold before a commit: lint, strict types, import contracts, tests

fmt: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --exit-zero --quiet .

lint: $(VENV)/.dev ## Rules of the house and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## Who may import whom
	$(BIN)/lint-imports --no-logo

test: $(VENV)/.dev ## Every test but the long ones with real processes
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not e2e"

laws: $(VENV)/.dev ## The laws that hold for every kind
	$(BIN)/python -m pytest -q -n $(WORKERS) tests/laws

e2e: $(VENV)/.dev neighbours image ## Real processes over real sockets: kills, faults, conflicts, Prometheus, the image
	$(BIN)/python -m pytest -q -n $(WORKERS) -m e2e --ignore tests/e2e/test_daemon_storm.py
	$(BIN)/python -m pytest -q -m e2e tests/e2e/test_daemon_storm.py  # alone: its kills are moments of a second

neighbours: ## What e2e tests beside, from Debian, npm and PyPI (as root, or with sudo)
	tests/e2e/neighbours.sh

image: $(VENV)/.dev neighbours ## Build the image without a registry
	tests/e2e/image.sh $(BIN)/python

chart: $(VENV)/.dev ## Write what in deploy/ is made from tables; lint, render and check it
	$(BIN)/python -m tests.support.shipped
	$(BIN)/python -m pytest -q tests/contracts/test_chart.py tests/contracts/test_shipped.py tests/contracts/test_watching.py \
	  tests/contracts/test_azure_setup.py tests/contracts/test_files.py tests/contracts/test_chart_rights.py

# What the image has in it, made in the same way: the daemon is measured as it is shipped.
$(PRODUCTION)/.made: Dockerfile setup.cfg constraints.txt $(shell find reconciler -name '*.py')
	rm -rf $(PRODUCTION)
	$(PYTHON) -m venv $(PRODUCTION)
	$(PRODUCTION)/bin/python -m pip install --quiet --no-compile --constraint constraints.txt .
	PYTHONNODEBUGRANGES=1 $(PRODUCTION)/bin/python -m compileall -q $(PRODUCTION)/lib
	@touch $@

bench: $(VENV)/.dev $(PRODUCTION)/.made ## Requests, seconds and memory beside a plain SDK script; of plans as fleets grow; of the daemon
	$(BIN)/python -m bench
	$(BIN)/python -m bench.planning
	$(BIN)/python -m bench.daemon --python $(PRODUCTION)/bin/python

peers: $(VENV)/.dev ## Clients that nobody here wrote, against the simulation (large installs)
	$(BIN)/python -m tests.peers

constraints: ## Refresh constraints.txt: the newest versions that setup.cfg permits
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	PIP_CONSTRAINT= build/constraints/bin/python -m pip install --quiet --upgrade setuptools
	PIP_CONSTRAINT= build/constraints/bin/python -m pip install --quiet --editable '.[dev]'
	{ sed -n '/^#/p' constraints.txt; \
	  build/constraints/bin/python -m pip freeze --all --exclude-editable --exclude pip | LC_ALL=C sort -f; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean: ## Remove what was installed and built
	rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

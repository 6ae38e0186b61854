# Vigil's commands. Each target says whether CI (.ci/run) runs it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.vigil-setup
BENCHMARKS := $(basename $(notdir $(wildcard benchmarks/bench_*.py)))
PYTEST_ARGS ?=

.PHONY: help setup demo check unit test bench services-up services-down

help: ## list the targets (CI: no)
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18

setup: $(STAMP) ## create .venv with everything the project needs (CI: yes)

$(STAMP): pyproject.toml requirements/constraints.txt
	@test -n "$(PYTHON)" || { echo "setup: Python 3.11 or newer is needed (apt-get install python3)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "setup: $(PYTHON) cannot make environments (apt-get install python3-venv)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## watch a simulated ward in the terminal (CI: no; the tests run it)
	$(BIN)/vigil demo

check: setup ## style, types, import rules and the fast tests (CI: yes)
	$(BIN)/ruff check . deploy/services
	$(BIN)/ruff format --check . deploy/services
	$(BIN)/mypy
	MYPYPATH=deploy $(BIN)/mypy deploy/vigil_services deploy/services
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory unit

unit: setup ## the fast tests: no services, no recordings (CI: yes, in check)
	$(BIN)/python -m pytest -q -m "not broker and not database and not slow and not data" $(PYTEST_ARGS)

test: setup ## every test, on real Kafka and TimescaleDB started and stopped here (CI: yes)
	deploy/services run -- $(BIN)/python -m pytest $(PYTEST_ARGS)

bench: setup ## every program in benchmarks/, with the services (CI: no)
	deploy/services run -- sh -ec 'for b in $(BENCHMARKS); do echo "== $$b"; $(BIN)/python -m benchmarks.$$b; done'

services-up: ## start Kafka and TimescaleDB, print how to reach them (CI: no)
	deploy/services up

services-down: ## stop what this clone started (CI: no)
	deploy/services down

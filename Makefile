# Everything a developer or a stranger needs, one word each. `make` alone prints this list.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard contrib_plugins/*)
CONFIG ?= examples/quickstart

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage test-full lint format docs bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.run: pyproject.toml $(wildcard contrib_plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . $(addprefix --editable ,$(PLUGINS))
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

setup: $(VENV)/.dev  ## make .venv with devstream, its contrib plugins and the development tools

run: $(VENV)/.run  ## run examples/quickstart: two repositories with CI, on this machine, no account needed
	$(BIN)/devstream run --yes -f $(CONFIG)
	@$(BIN)/python -m devstream_plugin_scm.local_ci status $(CONFIG)/repos/*/*.git

test: $(VENV)/.dev  ## the tests (a few minutes)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

coverage: $(VENV)/.dev  ## the tests, and which lines and branches they reach
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' --cov --cov-report=term:skip-covered

test-full: $(VENV)/.dev  ## the tests and the long sweeps (hours)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'slow or not slow' --timeout 3600

lint: $(VENV)/.dev  ## ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff rewrite
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev  ## write the generated reference pages again
	$(BIN)/python -m docs.generate

bench: $(VENV)/.dev  ## measure beside peers, in one run
	$(BIN)/python -m benchmarks

clean:  ## remove what was built, and the quickstart's results
	rm -rf $(VENV) dist build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf examples/quickstart/repos examples/quickstart/devstream.state*

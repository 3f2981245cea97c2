# The only entrance: people, hooks and CI call these targets.
# `make` alone lists them; each does its own set-up.

.DEFAULT_GOAL := help
BIN := .venv/bin
PYTEST := $(BIN)/pytest
ARGS ?=

.PHONY: help setup engines demo test check format unit contract scenario e2e fuzz bench docs wheels clean

help: ## List every target
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install all that the other targets need (instant when nothing changed)
	@scripts/setup

engines: setup ## Make an environment with every optional engine, PyTorch too, for `make test`
	@scripts/engine-env

demo: setup ## Show the whole product on real data, unattended (KEEP=1 leaves it running)
	@KEEP="$(KEEP)" scripts/demo

test: setup ## Run every test this machine can run and name the engines that are missing
	@scripts/test $(ARGS)

check: setup ## Check format, lint, types, import contracts and tidiness in half a minute
	@scripts/check

format: setup ## Lay out the code and mend what the linter can mend
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format .

unit: setup ## Run the unit tests alone
	@scripts/test tests/unit runtime/tests $(ARGS)

contract: setup ## Run the suites that every adapter of a port must pass
	@scripts/test tests/contract $(ARGS)

scenario: setup ## Run the failure scenarios on real processes
	@scripts/test tests/scenario $(ARGS)

e2e: setup ## Run the examples and the command line from end to end
	@scripts/test tests/e2e $(ARGS)

fuzz: setup ## Run the property tests on many more inputs than `make test` does
	@HYPOTHESIS_PROFILE=fuzz scripts/test -m hypothesis $(ARGS)

bench: setup ## Measure the budgets on this machine (ARGS picks questions)
	@scripts/bench $(ARGS)

docs: setup ## Write docs/reference again from the code
	@$(BIN)/python scripts/reference.py

wheels: setup ## Build both distributions into dist/
	@scripts/wheels

clean: ## Remove everything that the other targets made in this folder
	@rm -rf .venv .tools dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# `make` alone lists what there is. Works with GNU make 3.81 (macOS) and later; needs Python 3.11 or later.

PORT   ?= 8000
VENV   ?= .venv
PYTHON ?=
ARGS   ?=
BUDGET ?= 60m

BIN    := $(VENV)/bin
LOCK   := requirements/dev.txt
READY  := $(VENV)/.installed
CORES  := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
JOBS   ?= $(shell test $(CORES) -gt 1 && echo 3 || echo 2)

export PORT VENV PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run demo manage test check fmt lint types contracts migrations docs client explorer teeth proof bench pictures lock clean

help: ## List what there is
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n  PORT=9000 make run      other ports (the site gets PORT, the processes its neighbours)\n'
	@printf '  make demo ARGS="--only 3,5"    make test ARGS="-k refund"    make proof BUDGET=8h    VENV=~/venvs/nexus make run\n'

setup: $(READY) ## Create the environment and install the locked requirements

$(READY): $(LOCK)
	@stack/install.sh "$(VENV)" "$(LOCK)"
	@touch $(READY)

run: $(READY) ## Start everything on this machine, until Ctrl-C
	@$(BIN)/python -m stack run $(ARGS)

demo: $(READY) ## Play the stories on a system of its own, on spare ports
	@$(BIN)/python -m stack demo $(ARGS)

manage: $(READY) ## Run a management command on what `make run` has started: make manage ARGS="reconcile --help"
	@$(BIN)/python -m stack manage $(ARGS)

test: $(READY) ## Run the tests, against real servers (started if none are given)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

check: lint types contracts migrations ## Everything that CI demands: lint, types, contracts, migrations, tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --cov --cov-report=term $(ARGS)

fmt: $(READY) ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lint: $(READY) ## Look for mistakes and unformatted code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Check the types
	$(BIN)/mypy

contracts: $(READY) ## Check that dependencies run one way
	$(BIN)/lint-imports

migrations: $(READY) ## Check that no migration is missing
	DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/python -m stack services -- \
		$(BIN)/python manage.py makemigrations --check --dry-run

docs: $(READY) ## Write the generated documents anew (errors, flows, OpenAPI, GraphQL schema)
	DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/python -m stack services -- \
		$(BIN)/python manage.py write_docs

client: ## Lint docs/openapi.yaml, make TypeScript types of it and check a checkout against them (needs npm)
	cd tests/typescript && npm ci --silent --ignore-scripts && npm run --silent lint && npm run --silent types && npm run --silent check

explorer: ## Fetch GraphiQL for /graphql/explorer/ of `make run` (needs npm)
	cd config/graphiql && npm ci --silent --ignore-scripts

teeth: $(READY) ## Take each guard out and see its test turn red (tests/guards.toml)
	@$(BIN)/python -m tests.teeth $(ARGS)

proof: $(READY) ## Run what proves something many times, for BUDGET=60m, and write docs/proof.md; goes on where it stopped
	@$(BIN)/python -m tests.proof --budget $(BUDGET) $(ARGS)

pictures: $(READY) ## Take the README's pictures of the desk anew (needs Chromium)
	NEXUS_PICTURES=1 $(BIN)/python -m pytest tests/browser/test_pictures.py

bench: $(READY) ## Measure: throughput against a bare floor, start, memory, latency
	@$(BIN)/python -m bench $(ARGS)

lock: $(READY) ## Resolve the requirements anew and write them with hashes
	for name in base dev production; do \
		$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
			--custom-compile-command "make lock" -q requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

clean: ## Remove caches and what tests leave; the data in var/ and the environment stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

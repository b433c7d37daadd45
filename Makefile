# Every target sets up what it needs and is quick when there is nothing to set up.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXAMPLES ?= 100000
# commands start faster, also where Python is told to write no bytecode (PYTHONDONTWRITEBYTECODE)
COMPILE = $(BIN)/python -m compileall -q hub connectors tests
PIP = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
# one line for each package on a terminal, written over the last one; elsewhere a line for each ten
COUNTED = awk -v all="$$(grep -c '==' requirements.lock)" -v shown="$$(test -t 2 && echo yes)" \
	'/^Collecting/ { n++; if (shown) printf "\r\033[K  %d of %d: %s", n, all, $$2; \
	  else if (n % 10 == 0) printf "  %d of %d: %s\n", n, all, $$2; fflush() } \
	/^Installing collected/ { printf "%s  unpacking them ...\n", shown ? "\r\033[K" : ""; fflush() } \
	/^FAILED/ { exit 1 }'

.PHONY: help setup parts check format unit test soak faults-seen test-all demo bench bench-peers bench-source up down lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## virtual environment with everything pinned by requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || { echo "making the virtual environment $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "fetching what requirements.lock pins (some 260 MB; on a slow network minutes) ..."
	@{ $(PIP) --require-hashes -r requirements.lock || echo FAILED; } | $(COUNTED)
	@echo "installing the hub ..."
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $(STAMP)

parts: ## MariaDB's server, by apt, for the tests of connectors that read it (needs root)
	@if command -v mariadbd >/dev/null || test -x /usr/sbin/mariadbd; then true; \
	elif test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "installing mariadb-server ..."; \
		(apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends mariadb-server) >/dev/null \
		|| echo "!!! mariadb-server was not installed: the tests on MariaDB are left out"; \
	else echo "!!! MariaDB's server is not installed (root and apt are needed): the tests on MariaDB are left out"; fi

check: $(STAMP) ## format, lint, types, import rules, schemas, unit tests
	@$(COMPILE)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hub schemas check
	$(BIN)/pytest -q tests/unit

format: $(STAMP) ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: $(STAMP) ## unit tests only
	$(BIN)/pytest -q tests/unit

test: parts check ## everything that must pass: check, then all tests on the real engine, a file at a time on each of three engines
	$(BIN)/pytest -q tests --ignore tests/unit -n 3 --dist loadfile

soak: parts $(STAMP) ## the differential fuzz and property tests at length (EXAMPLES=100000)
	HUB_SOAK_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -m soak tests

faults-seen: $(STAMP) ## every failure that was seen, on engines of its own: expected and seen (CASES="01 17")
	$(BIN)/python -m tests.faults.seen $(CASES)

test-all: test ## test, then the long ones: soak at length and faults-seen
	HUB_SOAK_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -m soak tests
	$(BIN)/python -m tests.faults.seen

demo: $(STAMP) ## midnight in Ninh Binh, end to end on the real engine
	$(BIN)/hub demo

bench: $(STAMP) ## 1,000,000 citizen events through the whole job, beside the COPY-only limit; then the way out to the portal's topic
	$(BIN)/python -m tests.bench.main_job
	$(BIN)/python -m tests.bench.share

bench-peers: $(STAMP) ## the same events through the hub and through Kafka Connect with Debezium's sink, in turn
	$(BIN)/python -m tests.bench.peers.race

bench-source: $(STAMP) ## snapshot of a source table: the hub's connector and Debezium's, in turn
	$(BIN)/python -m tests.bench.peers.source_race

up: $(STAMP) ## start the embedded Kafka and PostgreSQL
	$(BIN)/hub up

down: $(STAMP) ## stop them
	$(BIN)/hub down

lock: $(STAMP) ## pin dependencies anew
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## remove the virtual environment and the embedded engine's data
	rm -rf $(VENV) .hub

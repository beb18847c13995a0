# What a fresh machine needs: Python 3.11 or newer, pip, make. Everything else comes by the hashed lock files.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test check bench setup lock clean

help:  ## Say what each target does
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/installed  ## Start Postgres and the service with demo data (Ctrl-C stops both)
	@$(BIN)/daymark dev

test: .venv/installed-dev  ## Run the whole test suite against a real Postgres
	@$(BIN)/pytest $(ARGS)

# yoyo runs each migration in one transaction, and PostgreSQL 15 is the oldest that we support.
SQUAWK = --assume-in-transaction --pg-version=15.0
check: .venv/installed-dev  ## Style, types, SQL lints, and the policies linted and proven
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/squawk $(SQUAWK) --exclude-path='*.rollback.sql' migrations/*.sql
	$(BIN)/squawk $(SQUAWK) --exclude=ban-drop-column,ban-drop-constraint,ban-drop-table,ban-drop-schema,ban-drop-function,ban-drop-view migrations/*.rollback.sql  # dropping is what they are for
	$(BIN)/python -m tests.policies

bench: .venv/installed-dev  ## Run the benchmarks and print their tables (COMPARE=old.json: and the change)
	@$(BIN)/python -m tests.bench $(if $(COMPARE),--compare $(COMPARE))

setup: .venv/installed  ## Make .venv with `daymark` in it, and nothing more

# No registry's address may stand in a lock file: each machine has its own index.
COMPILE = $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock: .venv/installed-dev  ## Renew the lock files
	$(COMPILE) $(ARGS) pyproject.toml --extra build -o requirements.txt
	$(COMPILE) $(ARGS) pyproject.toml --extra build --extra dev -c requirements.txt -o requirements-dev.txt

clean:  ## Remove .venv and the caches (never .daymark, your data)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("daymark needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (set PYTHON=...)")'
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

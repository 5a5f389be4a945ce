# Everything sets itself up first: Python 3.11 or newer is all that is needed.
# `make test ARGS="tests/sql -k boot"`, `RECOVERY_TEST_MAJORS=18 make test`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
ARGS ?=
# More than there are cores: many tests wait for other sessions.
JOBS ?= 4
SOURCES := $(wildcard recovery tests tools bench examples alembic)

.PHONY: help setup demo test lint format types sql-check docs rooms bench dist clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

# The stamp is older than pyproject.toml when the dependencies may have changed.
.venv/.ready: pyproject.toml tools/setup.sh
	@tools/setup.sh

setup: .venv/.ready ## the development environment in .venv

demo: .venv/.ready ## the crash, end to end, on a throw-away PostgreSQL
	@$(BIN)/recovery demo $(ARGS)

test: .venv/.ready ## the tests, on every PostgreSQL that can be started
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: .venv/.ready ## ruff: rules and format
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

format: .venv/.ready ## ruff: repair what can be repaired
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

types: .venv/.ready ## mypy, strict
	@$(BIN)/mypy

sql-check: .venv/.ready ## style and names of sql/, pgspot, then the tests that read the catalog
	@$(BIN)/python tools/check_sql.py
	@$(BIN)/python tools/freeze.py --check
	@$(BIN)/python tools/check_names.py
	@$(BIN)/python -m pytest -q tests/schema/test_style.py $(ARGS)

.venv/.docs: .venv/.ready
	@tools/setup.sh docs

docs: .venv/.docs ## the documentation in site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

rooms: .venv/.ready ## the rooms of recovery/, and which uses which
	@$(BIN)/python tools/rooms.py --edges

bench: .venv/.ready ## the benchmarks of bench/
	@$(BIN)/python -m bench $(ARGS)

dist: .venv/.ready ## sdist and wheel in dist/
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .

clean: ## remove everything that make made
	@rm -rf .venv .tools dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

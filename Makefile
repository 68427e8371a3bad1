# Two commands for a newcomer: `make review` (the weekly review on the demo company) and `make dev` (Dagster's UI and the review desk).
.DEFAULT_GOAL := help
PYTHON ?= python3
export PYTHONUTF8 := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
SCALE ?= small

.PHONY: help install review dev test test-long lint bench lock dictionary clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Say which with PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@echo "Installing into .venv (about a minute the first time) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/.installed  ## Install into .venv by the lock file

review: install  ## Run the weekly review on the demo company, end to end
	@.venv/bin/health-pipeline demo

dev: install  ## Dagster's UI on port 3000, the review desk on port 8600 (its demo sign-in: this machine alone)
	@.venv/bin/health-pipeline dev --demo-sign-in

# the longest first
LINTERS := lint-sql lint-types lint-style lint-layers lint-generated lint-definitions
.PHONY: $(LINTERS)

lint: install  ## Linters, types, layers, SQL, the Dagster code location
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target $(LINTERS)

lint-style:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
lint-types:
	.venv/bin/mypy
lint-layers:
	.venv/bin/lint-imports
lint-sql:
	.venv/bin/sqlfluff lint dbt_project/models dbt_project/tests dbt_published/models
lint-generated:
	.venv/bin/health-pipeline dictionary --check
lint-definitions:
	.venv/bin/dagster definitions validate -w workspace.yaml

test: lint  ## Linters and tests
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 25

test-long: install  ## The long tests (about an hour and a half on two cores); their log goes to docs/test-long.log
	@bash -o pipefail -c '{ date -u +"%Y-%m-%d %H:%M UTC"; git log -1 --format="commit %h"; \
	.venv/bin/python -m pytest -m long -vv -n 2 --dist loadfile --no-loadscope-reorder; } 2>&1 | tee docs/test-long.log'

bench: install  ## Measure the review at SCALE=small, medium or large; writes docs/benchmarks.md
	@.venv/bin/python -m benchmarks --scale $(SCALE)

lock:  ## Resolve pyproject.toml anew into requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url --all-extras pyproject.toml -o requirements.lock

dictionary: install  ## Write docs/data-dictionary.md and docs/ai-rmf.md
	.venv/bin/health-pipeline dictionary

clean:  ## Remove caches (var/ stays: it holds your releases)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dbt_project/target dbt_project/logs

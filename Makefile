# The product's commands. `make` alone lists them.
# Every target that needs Python packages makes .venv first, from the hash-locked requirements.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
CODE := $(wildcard app domain projections consensus tests bench scripts)
ARGS ?=

# The first interpreter that is new enough; override with `make PYTHON=…`.
PYTHON ?= $(shell for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$candidate; break; fi; done)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | \
		awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'

# ---- the virtual environment -------------------------------------------------

$(PY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: Python 3.11 or newer is needed; none of python3, python3.14 … python3.11 is" >&2; \
		exit 2; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: Python 3.11 or newer is needed; $(PYTHON) is older" >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: '$(PYTHON) -m venv' failed; on Debian: apt-get install python3-venv" >&2; \
		exit 2; }

$(RUNTIME): requirements/runtime.txt | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: venv venv-dev lock
venv: $(RUNTIME) ## make .venv with what the product needs
venv-dev: $(DEV) ## make .venv with what tests and checks need too

lock: ## resolve requirements/*.in anew into the hash-locked requirements/*.txt
	@"$(PYTHON)" -m venv .make/uv && .make/uv/bin/python -m pip install --quiet uv
	cd requirements && for set in runtime dev; do ../.make/uv/bin/uv pip compile --quiet \
		--universal --generate-hashes --python-version 3.11 --no-emit-index-url $(LOCK_ARGS) \
		--custom-compile-command "make lock" $$set.in -o $$set.txt || exit 1; done

# ---- run ---------------------------------------------------------------------

.PHONY: run demo
run: $(RUNTIME) ui-if-possible ## everything on this machine: PostgreSQL, Raft, projector, web
	@exec ./guardian up --parent $$PPID $(ARGS)

demo: $(RUNTIME) ## load the examples into a running `make run`, race on them, rebuild
	$(PY) -m scripts.demo $(ARGS)

.PHONY: procfile
procfile: $(RUNTIME) ui ## web and projector under honcho, on servers that the environment names
	$(VENV)/bin/honcho run ./guardian release
	@exec $(VENV)/bin/honcho start web projector

.PHONY: ui
ui: $(RUNTIME) ## build the management page when its sources changed
	@if [ -f scripts/build_ui.sh ]; then PYTHON=$(PY) bash scripts/build_ui.sh; fi

# Without a network the page cannot be built; everything else runs without it.
.PHONY: ui-if-possible
ui-if-possible:
	@$(MAKE) --no-print-directory ui || \
		echo "warning: the management page was not built (see above); the API runs without it" >&2

# ---- check and test ----------------------------------------------------------

.PHONY: check format test test-faults test-browser
check: $(DEV) ## format, lint, types, import arrows, links
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy $(CODE)
	$(VENV)/bin/lint-imports
	$(PY) scripts/check_tree.py

format: $(DEV) ## format the code and fix what can be fixed
	$(PY) -m ruff format $(CODE)
	$(PY) -m ruff check --fix $(CODE)

test: $(DEV) ui ## the whole suite, on real servers that it starts itself
	@# Four, on two cores too: for a third of its time a test waits for servers (662 s with three, 588 s).
	@# Compiled code is kept even where the caller's shell forbids it: else four workers and each
	@# command that a test starts compile it all anew (7 s and 0.3 s of processor time, measured).
	PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 4 --dist worksteal -m "not soak" $(ARGS)

test-faults: $(DEV) ## faults on real servers under load: FAULTS_MINUTES=30 FAULTS_SEED=1
	FAULTS_MINUTES=$(or $(FAULTS_MINUTES),5) FAULTS_SEED=$(FAULTS_SEED) \
		$(PY) -m pytest -n 0 -s tests/faults $(ARGS)

test-browser: $(DEV) ui ## the management page in a real browser, with screenshots in test-output/
	TEST_SCREENSHOTS=1 $(PY) -m pytest -n 0 tests/browser $(ARGS)

# ---- measure -----------------------------------------------------------------

.PHONY: bench bench-check bench-watch bench-flame bench-hostile bench-page
bench: $(DEV) ## measure writes, reads, rebuild; write the numbers down
	$(PY) -m bench $(ARGS)

bench-check: $(DEV) ## measure and compare with the numbers that we promise
	$(PY) -m bench.check $(ARGS)

bench-watch: $(DEV) ## many watchers at once
	$(PY) -m bench.watch $(ARGS)

bench-flame: $(DEV) ## flame graphs of the read and the write path, into docs/flame/
	$(PY) -m bench.flame $(ARGS)

bench-hostile: $(DEV) ## hostile load: what one client can do to the others
	$(PY) -m bench.hostile $(ARGS)

bench-page: $(DEV) ui ## how long a person waits for the management page, in a real browser
	$(PY) -m bench.page $(ARGS)

# ---- migrations (DATABASE_URL says where) --------------------------------------

.PHONY: migrate-up migrate-up-one migrate-down migrate-version migrate-create migrate-force
migrate-up: $(RUNTIME) ## apply all pending migrations
	@./scripts/migrate.sh up

migrate-up-one: $(RUNTIME) ## apply one migration
	@./scripts/migrate.sh up 1

migrate-down: $(RUNTIME) ## roll the last migration back
	@./scripts/migrate.sh down 1

migrate-version: $(RUNTIME) ## show the current version
	@./scripts/migrate.sh version

migrate-create: $(RUNTIME) ## make migrate-create NAME=add_new_feature
	@./scripts/migrate.sh create "$(NAME)"

migrate-force: $(RUNTIME) ## make migrate-force VERSION=5 (use with caution)
	@./scripts/migrate.sh force "$(VERSION)"

.PHONY: clean
clean: ## remove caches; keeps .venv and the data in .guardian
	rm -rf .make .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache test-output
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +

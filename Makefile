# Everything that a person or a machine does with this project has a target here.
# `make run` and `make test` need Python 3.11 to 3.13, pip and make; they do their own set-up.

VENV ?= .venv
PYTHON ?=
UV ?= uv
ARGS ?=
# Tests run in one process per core, a file of tests in one of them; SPREAD= takes one process for all.
SPREAD ?= -n auto --dist loadfile

BIN := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check --no-input
# Stamps: a target is built again when a file that it depends on is newer.
MADE := $(VENV)/.made
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
# Benchmarks have environments of their own: the peers that they are compared with are installed nowhere else.
BENCH := .venv-bench
BENCH_PEERS := .venv-bench-peers

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all check bench format env-example reference lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

# Prints the interpreter to use: PYTHON if given, else the newest of those that work.
# A name on the PATH may be a shim for a version that is not there, so each is tried.
define FIND_PYTHON
for candidate in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
  if "$$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then \
    echo "$$candidate"; break; \
  fi; \
done
endef

# Installs with the environment's own pip; where the system's Python comes without
# ensurepip, with the pip of the interpreter that made the environment.
define INSTALL
if "$(BIN)/python" -m pip --version >/dev/null 2>&1; then \
  put() { "$(BIN)/python" -m pip install $(PIP_FLAGS) "$$@"; }; \
else \
  put() { "$$(cat $(MADE))" -m pip --python "$(BIN)/python" install $(PIP_FLAGS) "$$@"; }; \
fi; put
endef

# The same for another environment, named by the argument.
define INSTALL_IN
if "$(1)/bin/python" -m pip --version >/dev/null 2>&1; then \
  put() { "$(1)/bin/python" -m pip install $(PIP_FLAGS) "$$@"; }; \
else \
  put() { "$$(cat $(1)/.made)" -m pip --python "$(1)/bin/python" install $(PIP_FLAGS) "$$@"; }; \
fi; put
endef

$(MADE):
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
	  echo "No usable Python found$(if $(PYTHON), at $(PYTHON)): install Python 3.11, 3.12 or 3.13, or name one with PYTHON=/path/to/python" >&2; exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv "$(VENV)" >/dev/null 2>&1 || "$$python" -m venv --without-pip "$(VENV)" || exit 1; \
	"$$python" -c 'import sys; print(sys.executable)' > $@

# The project itself is installed as a link to src/, with the locked build back end.
$(RUNTIME): requirements.lock requirements-build.lock pyproject.toml | $(MADE)
	@echo "installing the locked packages"
	@$(INSTALL) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "installing the locked development packages"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(DEV) ## Make the environment with everything in it

run: $(RUNTIME) ## Trade (mode sim unless .env says otherwise); ARGS="--markets 2 --speed max"
	@exec "$(BIN)/polystra" run $(ARGS)

check: $(DEV) ## Format, lint, types, layers, generated files
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports" --no-logo
	"$(BIN)/python" -m polystra.app.env_example --check .env.example
	"$(BIN)/python" -m polystra.app.reference --check docs

test: check ## Everything that must hold, but for the slow tests; ARGS go to pytest
	"$(BIN)/python" -m pytest -m "not slow" $(SPREAD) $(ARGS)

test-all: check ## The slow tests too (long simulations): twice the time
	"$(BIN)/python" -m pytest $(SPREAD) $(ARGS)

$(BENCH)/.installed: requirements.lock requirements-build.lock benchmarks/requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(BENCH) $(BENCH)/.made
	@$(call INSTALL_IN,$(BENCH)) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(call INSTALL_IN,$(BENCH)) --require-hashes -r benchmarks/requirements.lock
	@$(call INSTALL_IN,$(BENCH)) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(BENCH_PEERS)/.installed: benchmarks/requirements-peers.lock
	@$(MAKE) --no-print-directory VENV=$(BENCH_PEERS) $(BENCH_PEERS)/.made
	@$(call INSTALL_IN,$(BENCH_PEERS)) --require-hashes -r benchmarks/requirements-peers.lock
	@touch $@

bench: $(BENCH)/.installed $(BENCH_PEERS)/.installed ## Figures against their targets and against peers; ARGS="--quick --only sign --json FILE"
	@BENCH_PEERS="$(BENCH_PEERS)/bin/python" "$(BENCH)/bin/python" -m benchmarks $(ARGS)

format: $(DEV) ## Rewrite the code in the house format
	"$(BIN)/ruff" format .
	"$(BIN)/ruff" check --fix .

env-example: $(RUNTIME) ## Write .env.example from the settings class
	"$(BIN)/python" -m polystra.app.env_example > .env.example.new
	mv .env.example.new .env.example

reference: $(RUNTIME) ## Write the reference pages of docs/ from the code
	"$(BIN)/python" -m polystra.app.reference docs

COMPILE := "$(UV)" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-config

lock: ## Write the lock files anew from pyproject.toml (needs uv); UPGRADE=--upgrade takes newer versions
	@command -v "$(UV)" >/dev/null || { echo "make lock needs uv: pip install uv, or name it with UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) $(UPGRADE) --extra dev -o requirements-dev.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements-dev.lock -o requirements.lock pyproject.toml
	echo hatchling | $(COMPILE) $(UPGRADE) -c requirements-dev.lock -o requirements-build.lock -
	$(COMPILE) $(UPGRADE) -c requirements-dev.lock -o benchmarks/requirements.lock benchmarks/requirements.txt
	$(COMPILE) $(UPGRADE) -o benchmarks/requirements-peers.lock benchmarks/requirements-peers.txt

clean: ## Remove the environment and the caches; data/ stays
	rm -rf "$(VENV)" .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src tests alembic -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

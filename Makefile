# Every verb does its own set-up from a bare clone: a virtual environment, the installation, the engine.
#
#   make serve                 serve examples/hello on http://127.0.0.1:8787 (ADDRESS=, PORT= and CONFIG= choose others)
#   make test PYTHON=python3.13   with another interpreter, in another environment: VENV=.venv313

PYTHON  ?= python3
VENV    ?= .venv
ADDRESS ?= 127.0.0.1
PORT    ?= 8787
CONFIG  ?= examples/hello/config.toml
BENCH   ?= cold-start
SECONDS ?= 600
ARGS    ?=

BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ENGINE    := $(BIN)/pyworkerd engine build

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help serve test check bench soak fuzz wpt docs format engine clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

serve: engine ## serve examples/hello on http://127.0.0.1:8787
	@exec $(BIN)/pyworkerd serve $(CONFIG) --socket-addr http=$(ADDRESS):$(PORT) $(ARGS)

test: engine ## run the tests, on every processor
	$(BIN)/python -m pytest -q -n logical --maxprocesses 8 --dist loadfile $(ARGS)

check: $(INSTALLED) ## lint, formatting, types, import contracts, shape of the sources
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(wildcard tests/packaging),$(BIN)/python -m pytest -q tests/packaging)

bench: engine ## measure, beside the peers that can be installed (BENCH=cold-start throughput fairness ...)
	$(BIN)/python -m pyworkerd_bench.install
	$(BIN)/pyworkerd bench $(BENCH) $(ARGS)

soak: engine ## run the tests that take long: reloads and kills under load, ...
	$(BIN)/python -m pytest -q -m soak $(ARGS)

fuzz: $(INSTALLED) ## fuzz the front end and the protocol for SECONDS=600
	-@$(BIN)/python -m pip install --quiet --group fuzz
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(ARGS)

wpt: engine ## run upstream's web-platform-tests in JavaScript workers (WPT=a checkout; ARGS=areas, files)
	$(BIN)/python -m tests.wpt.run --root $(or $(WPT),$(error WPT= has to name a checkout of web-platform-tests)) $(ARGS)

docs: $(INSTALLED) ## write what is made of the code: docs/support.md, the tables of docs/command-line.md
	$(BIN)/python -m tests.support
	$(BIN)/python -m tests.packaging.command_line

format: $(INSTALLED) ## bring the sources into their format
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

engine: $(INSTALLED) ## build the engine, unless this user's cache has it
	@$(ENGINE)

clean: ## remove the environment and what tools left (the engine stays: pyworkerd engine clean)
	rm -rf $(VENV) dist .fuzz .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find runtime isolates capnp_config bench tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# pip knows dependency groups (--group) since 25.1.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pyworkerd needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

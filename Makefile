# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What is installed beside the five stages: dev (everything), demo, hub.
EXTRAS ?= dev

# Tiny models run many times faster on one thread; without byte code every start of a stage imports three times as long.
export OMP_NUM_THREADS ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-hub lint bench soak clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(INSTALLED) ## .venv with the command lines, from constraints.txt

demo: $(INSTALLED) ## the whole pipeline on an embedded Hub: tiny generators, real photographs, a published dataset
	@$(BIN)/python -m demo

test: $(INSTALLED) ## all tests, at most ten minutes on two cores
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-hub: $(INSTALLED) ## ask the real Hub (or HF_ENDPOINT) what the embedded one imitates, and crawl 20 models; a minute
	$(BIN)/python -m pytest -q tests_hub

lint: $(INSTALLED) ## formatting, style, types, and which room may import which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED) ## what is claimed about speed, as ratios within one run
	$(BIN)/python -m benchmarks

soak: $(INSTALLED) ## the same tests with large numbers: many kills, many faults; hours
	CF_SOAK=1 $(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --timeout 7200

clean: ## remove what `make demo` made; the environment stays
	rm -rf demo-run

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo 'installing into $(VENV): some minutes, once'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

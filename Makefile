# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The environment of `cf-caption --backend lavis`, and the Python it is made with: 3.11, no newer.
LAVIS := .lavis
LAVIS_PYTHON ?= python3.11
# The environment of the public code of detectors, and that code: `make test-reference`.
REFERENCE := .reference
LAVIS_FILES := captioning/lavis/requirements.txt captioning/lavis/lavis.txt
HASHES := $(wildcard requirements/hashes/*.txt)
# Which extras of pyproject.toml are installed: dev (everything), all (what users run), audit, crawl, caption, sample, hub.
EXTRAS ?= dev

# Tiny models run many times faster on one thread; without byte code every start of a stage imports three times as long.
export OMP_NUM_THREADS ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-gpu test-hub lavis-env test-lavis reference-env test-reference lint docs bench soak hashes sbom clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(INSTALLED) ## .venv with the command lines, from constraints.txt; every file is checked by its hash

demo: $(INSTALLED) ## the whole pipeline on an embedded Hub: tiny generators, real photographs, a published dataset
	@$(BIN)/python -m demo

test: $(INSTALLED) ## all tests but the weekly ones, about seven minutes on two cores
	$(BIN)/python -m pytest -q -p tests.workers --workers 4

test-hub: $(INSTALLED) ## ask the real Hub (or HF_ENDPOINT) what the embedded one imitates, and crawl 20 models; a minute
	$(BIN)/python -m pytest -q tests_hub

# --session-timeout: seconds in all. No GPU: exit code 77, which counts as an error here.
test-gpu: $(INSTALLED) ## tests on a GPU, at most eight minutes, no network; an error where no GPU is at hand
	$(BIN)/python -m pytest -q tests_gpu --session-timeout 480

lavis-env: $(LAVIS)/.installed ## .lavis for `cf-caption --backend lavis`; needs Python 3.11, 2 GB and some minutes

test-lavis: $(INSTALLED) $(LAVIS)/.installed ## make .lavis, and show that both back ends give the same captions
	$(BIN)/python -m pytest -q tests_lavis

reference-env: $(REFERENCE)/.installed ## .reference for `make test-reference`: 6 GB and some minutes

test-reference: $(INSTALLED) $(REFERENCE)/.installed ## public code of detectors, cloned into .reference, on what is published and exported here
	$(BIN)/python -m pytest -q tests_reference

lint: $(INSTALLED) ## formatting, style, types, and which room may import which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED) ## the documentation as a site in site/; fails on a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(INSTALLED) ## what is claimed about speed, as ratios within one run
	$(BIN)/python -m benchmarks

soak: $(INSTALLED) ## the same tests with large numbers, many kills and faults, and the weekly ones; hours
	CF_SOAK=1 $(BIN)/python -m pytest -q -p tests.workers --workers 5 --timeout 7200

hashes: ## write requirements/hashes again, after a pinned version has changed; needs uv (pip install uv)
	$(PYTHON) requirements/lock.py

sbom: $(INSTALLED) ## sbom.json: what .venv contains, as CycloneDX; needs cyclonedx-py (pip install cyclonedx-bom)
	cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.json $(BIN)/python

clean: ## remove what `make demo` made; the environment stays
	rm -rf demo-run

$(INSTALLED): pyproject.toml constraints.txt requirements/install.py $(HASHES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo 'installing into $(VENV): some minutes, once'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python requirements/install.py --only-binary :all: --constraint constraints.txt '.[$(EXTRAS)]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(LAVIS)/.installed: $(LAVIS_FILES) requirements/install.py $(HASHES)
	@$(LAVIS_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "error: LAVIS needs Python 3.11; run: make lavis-env LAVIS_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo 'installing into $(LAVIS): some minutes, once'
	@$(LAVIS_PYTHON) -m venv --clear $(LAVIS)
	@$(LAVIS)/bin/python requirements/install.py --requirement captioning/lavis/requirements.txt
	@$(LAVIS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
		--requirement requirements/hashes/lavis-sources.txt
	@touch $@

$(REFERENCE)/.installed: tests_reference/requirements.txt
	@echo 'installing into $(REFERENCE)/venv: some minutes, once'
	@$(PYTHON) -m venv --clear $(REFERENCE)/venv
	@$(REFERENCE)/venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

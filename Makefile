# `make demo` and `make test` set up everything they need; nothing but Python 3.11+ and make is assumed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

DATA ?= ../shared/data
JOBS ?= 1

# Compiled modules are kept: the second part of the tests and every command that a test starts need not compile anew.
export PYTHONDONTWRITEBYTECODE =

# Two processes of one thread each; a free one takes tests over from a busy one.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

.PHONY: demo test test-fast tidy results results-status figures notebooks docs clean

demo: $(VENV)/.installed
	$(BIN)/infodil demo --out demo

# Everything: first the quick tests, then those that fit and train, which need no shape checks.
test: test-fast
	$(PYTEST) -m "statistical and not slow" tests

# Form, and every test that takes less than about a fifth of a second, with the shapes of all calls checked.
test-fast: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cffconvert --validate
	$(PYTEST) --jaxtyping-packages=infodil,beartype.beartype -m "not slow and not statistical"

tidy: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every study with a stale table, the quickest first; a run that was killed takes up where it stopped.
results: $(VENV)/.installed
	$(BIN)/python -m analyses.results --data $(DATA) --n-jobs $(JOBS)

# Which tables are stale; with WRITE=1 marked in the figures' file and the pages, with claims and performance anew.
results-status: $(VENV)/.installed
	$(BIN)/python -m analyses.status $(if $(WRITE),--write)
	$(if $(WRITE),$(BIN)/python -m analyses.claims --stale-ok)
	$(if $(WRITE),$(BIN)/python -m analyses.performance)

figures: $(VENV)/.installed
	$(BIN)/infodil figures --out paper_figures

# The notebooks, executed anew with their outputs.
notebooks: $(VENV)/.installed
	$(BIN)/jupyter execute --inplace docs/notebooks/*.ipynb

docs: $(VENV)/.installed
	$(BIN)/sphinx-build -q -W --keep-going -b html docs out/docs

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo

# `make demo` and `make test` set up everything they need; nothing but Python 3.11+ and make is assumed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test tidy figures docs clean

demo: $(VENV)/.installed
	$(BIN)/infodil demo --out demo

test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cffconvert --validate
	$(BIN)/python -m pytest -q

tidy: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: $(VENV)/.installed
	for script in paper_figures/fig*.py; do $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.installed
	$(BIN)/sphinx-build -q -W --keep-going -b html docs out/docs

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo

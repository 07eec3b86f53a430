# One word for every chore; the first makes its own environment in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SAMPLE := data/samples/frb_carrier_16MHz.h5

# Hundreds of processes import the same modules: each would compile them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test thorough guard bench lint site docs generated clean

demo: $(VENV)/.installed ## voltages to spectra to a picture
	$(BIN)/fastsig info $(SAMPLE)
	$(BIN)/fastsig spectra $(SAMPLE) -o demo.h5 --overwrite --n-chan 256 --integrate 0.25ms
	$(BIN)/fastsig view demo.h5 -o demo.png --overwrite
	@echo "look at demo.png"

test: $(VENV)/.installed-dev ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

thorough: export FASTSIG_THOROUGH = 1
thorough: $(VENV)/.installed-dev ## the tests, with all that is random or repeated tried in full
	$(BIN)/python -m pytest -n 2 --dist worksteal

guard: $(VENV)/.installed-dev ## rates beside their yardsticks; with nothing beside it
	$(BIN)/python -m pytest -m guard tests/guards

bench: $(VENV)/.installed-dev ## rates and ratios, kept in bench/results
	$(BIN)/python -m bench

lint: $(VENV)/.installed-dev ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

site: export NUMBA_CACHE_DIR ?= $(CURDIR)/.kernel-cache
site: $(VENV)/.installed-dev ## the site, docs/_build/html: runs the pages that are notebooks
	$(BIN)/fastsig warmup -q
	$(BIN)/python -m sphinx -q -T -E -W --keep-going -n -j 2 -b html docs docs/_build/html
	@echo "look at docs/_build/html/index.html"

generated: $(VENV)/.installed-dev ## all that is written from the code: tables, lists, the stub of verbs
	$(BIN)/python docs/generated.py --write

docs: generated site ## the site, and every command and snippet of the other pages
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) docs/_build demo.h5 demo.png .pytest_cache .mypy_cache .ruff_cache .kernel-cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("fastsig needs Python 3.11 or newer; try make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

# `make demo` and `make test` do everything on a machine that has python3 and make.
.DELETE_ON_ERROR:
.PHONY: install demo test test-fast test-slow check docs clean

PYTHON ?= python3
BIN := .venv/bin

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inrc needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python -m benchmarks.demo

# Two fits that share the cores thread by thread are slower than one thread each.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# The inner loop: tests that encode nothing and start no process.
test-fast: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal -m 'not slow and not end_to_end'

test-slow: install
	$(BIN)/python -m pytest -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The generated pages.
docs: install
	$(BIN)/python docs/cli_page.py
	$(BIN)/python -m benchmarks.results_page

clean:
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache

# `make demo` and `make test` do everything on a machine that has python3 and make.
.DELETE_ON_ERROR:
.PHONY: install demo samples test test-fast test-slow test-oldest wheel check docs clean

PYTHON ?= python3
BIN := .venv/bin
OLDEST := .venv-oldest

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inrc needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python -m benchmarks.demo

# The files of samples/; the fits take a quarter of an hour.
samples: install
	$(BIN)/python -m benchmarks.samples

# Two fits that share the cores thread by thread are slower than one thread each.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# The inner loop: tests that encode nothing and start no process.
test-fast: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal -m 'not slow and not end_to_end'

test-slow: install
	$(BIN)/python -m pytest -m slow

# The lower bounds of pyproject.toml: the inner loop, then what encodes and decodes. On Linux torch brings 7 GB of CUDA.
test-oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest --numprocesses auto --dist worksteal \
		-m 'not slow and not end_to_end'
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest --numprocesses auto --dist worksteal tests/test_paths.py \
		tests/decoder tests/encoder/test_encoder_workers.py tests/exporter/test_exporter_export.py

$(OLDEST)/.installed: pyproject.toml tests/lowest_versions.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and \
		"the lowest versions are tested on the lowest Python, 3.11: make test-oldest PYTHON=python3.11")'
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) tests/lowest_versions.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(OLDEST)/constraints.txt --editable '.[dev,benchmarks,report,ray,export]'
	touch $@

# A wheel and an sdist in dist/, which pass the tests of the sdist in a new environment.
wheel: install
	$(BIN)/python tests/installed_wheel.py --python $(PYTHON)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The generated pages.
docs: install
	$(BIN)/python docs/cli_page.py
	$(BIN)/python -m benchmarks.results_page

clean:
	rm -rf .venv $(OLDEST) out dist .pytest_cache .mypy_cache .ruff_cache

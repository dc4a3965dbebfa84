# make demo   an audit of an embedded estate on loopback; needs Python 3.11+ only
# make test   everything: checks, unit tests, real servers; as root it installs the peers that tests talk to
# make bench  the README's figures, with peers and C, as root (about half an hour)
# make survey the whole of "Full Body Exposure" replayed in a closed namespace, as root (about half an hour): docs/survey.md
# make check  ruff, mypy strict, import-linter

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 3

.PHONY: demo test pages bench survey check peers lock country-data map-data clean

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Lead Apron needs Python 3.11 or newer") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.develop: requirements/develop.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/develop.txt
	touch $@

demo: $(VENV)/.runtime
	$(BIN)/leadapron demo

check: $(VENV)/.develop
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=src:tests:tests/peers:bench $(BIN)/mypy --follow-imports=silent bench/*.py
	$(BIN)/lint-imports --no-cache

peers:
	tests/install-peers

# sslyze, in an environment of its own: tests hold what we say of TLS against it
.oracle/.installed: requirements/oracle.txt
	test -x .oracle/bin/python || $(PYTHON) -m venv .oracle
	.oracle/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oracle.txt
	touch $@

test: $(VENV)/.develop .oracle/.installed peers check
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --durations=20

# The tables of the doors' pages, from tests/peers/matrix
pages: $(VENV)/.develop
	PYTHONPATH=src:tests:tests/peers $(BIN)/python -m matrix.pages

bench: $(VENV)/.develop peers
	$(BIN)/python bench/run.py --write README.md docs/benchmarks.md

survey: $(VENV)/.develop peers
	$(BIN)/python bench/survey.py --write docs/survey.md

lock: $(VENV)/.develop
	$(BIN)/python -m pip install --quiet pip-tools
	cd requirements && for set in runtime develop build oracle; do ../$(BIN)/pip-compile --quiet --generate-hashes \
	  --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header \
	  --output-file $$set.txt $$set.in; done

# The country database that ships (needs npm); its licence: src/leadapron/attribute/data/README.md
country-data: $(VENV)/.develop
	src/leadapron/attribute/data/refresh
	$(BIN)/python -m pytest tests/attribute

# The map of the report (needs npm); its licence: src/leadapron/report/data/README.md
map-data: $(VENV)/.develop
	src/leadapron/report/data/refresh-map
	$(BIN)/python -m pytest tests/report

clean:
	rm -rf $(VENV) .oracle .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis

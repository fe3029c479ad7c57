# make demo | test | check | setup: each does what it needs first. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPILE := uv pip compile pyproject.toml --extra local --extra dev --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet --output-file requirements.lock

JOBS ?= 3

# `make test REQUIRE_SHARED=1` and `REQUIRE_SHARED=1 make test` are the same.
export REQUIRE_SHARED

.PHONY: help setup prereq servers-prereq demo lint check test test-matrix bench soak lock wheel clean

help:
	@echo "make setup   install into $(VENV)"
	@echo "make demo    replay a trading day through real servers (ARGS=--once ends by itself)"
	@echo "make check   format, lint, types, import contracts, tests without servers"
	@echo "make test    make check, and the tests on real servers"
	@echo "make test-matrix   the tests without servers on Python 3.11, 3.12 and 3.13"
	@echo "make bench   ratios against bare clients and other stream processors"
	@echo "make soak    list what proves rather than checks; PART=name runs one part, PART=all every part"
	@echo "make lock    resolve requirements.lock anew"
	@echo "make wheel   build the wheel into dist/"

setup: prereq $(STAMP)

prereq:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Python 3.11 or newer not found: install python3 and python3-venv (apt-get install python3 python3-venv)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer needed, $(PYTHON) is $$($(PYTHON) -c 'import platform; print(platform.python_version())'): install python3.11 and python3.11-venv, or set PYTHON=python3.x" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module not found: install python3-venv (apt-get install python3-venv)" >&2; exit 2; }

# Either a Docker engine, or Java 17 and Maven (Maven only until Kafka is in the cache).
servers-prereq:
	@docker info >/dev/null 2>&1 || { command -v java >/dev/null 2>&1 && command -v mvn >/dev/null 2>&1; } || { echo "Kafka needs a running Docker engine, or Java 17+ and Maven: start Docker, or install them (apt-get install openjdk-17-jre-headless maven)" >&2; exit 2; }

$(STAMP): requirements.lock pyproject.toml
	@echo "installing into $(VENV) (once, about two minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: servers-prereq setup
	@$(BIN)/optionstream demo $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p optionstream
	$(BIN)/lint-imports

check: lint
	$(BIN)/python -m pytest -n auto tests/unit

# `check` without its pytest run: one run over both suites prints each suite's share of time. Tests
# on servers wait more than they compute: more processes than cores.
test: servers-prereq lint
	$(BIN)/python -m pytest -n $(JOBS) --durations=40 tests/server tests/unit

# Each interpreter has an environment of its own; one that is missing here fails the target.
MATRIX := 3.11 3.12 3.13
test-matrix: prereq
	@for version in $(MATRIX); do tests/matrix.sh $$version $(ARGS) || exit 1; done

bench: servers-prereq setup
	@$(BIN)/python -m tests.bench $(ARGS)

soak: servers-prereq setup
	@$(BIN)/python -m tests.soak $(PART) $(if $(ARGS),-- $(ARGS))

lock: setup
	@$(BIN)/$(COMPILE)

wheel: setup
	@rm -rf build dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

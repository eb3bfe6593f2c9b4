# What one does here; `make` lists it. Every cargo call has the same profile, so
# that the dependencies are compiled once (some twenty minutes on two cores).

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
TENURE := $(or $(CARGO_TARGET_DIR),target)/release/tenure

# What `make rerun` and `make show` are about; set them on the command line.
PIPELINE ?= pipelines/quickstart.yaml
AS_OF ?= 2025-12-31
TABLE ?=

QUICKSTART := pipelines/quickstart.yaml
HISTORY := target/quickstart
# What `make bench` measures: one or more scenarios, or all; see benches/README.md.
SCENARIO ?= default
ORDERS_MILLIONS ?= 15
RUNS ?= 3
TOOLS ?= tenure duckdb polars
BENCH := target/bench
SERVERS := $(or $(CARGO_TARGET_DIR),target)/servers

SEGMENT_COLUMNS := name_en,customers,customer_share,revenue,revenue_share,action_en

##@ Use

.PHONY: run
run: build $(HISTORY)/truth.json ## Run the quickstart pipeline and show what came of it
	@$(TENURE) run $(QUICKSTART) --as-of 2025-12-31
	@echo
	@$(TENURE) show $(QUICKSTART) metrics.cohort_retention --matrix
	@echo
	@$(TENURE) show $(QUICKSTART) metrics.rfm_segments --columns $(SEGMENT_COLUMNS)
	@echo
	@$(TENURE) show $(QUICKSTART) metrics.customer_predictions --limit 10

.PHONY: rerun
rerun: build ## Publish one table again: TABLE=metrics.rfm_scores AS_OF=2025-11-30 PIPELINE=…
	@test -n "$(TABLE)" || { echo "say which: make rerun TABLE=metrics.rfm_scores" >&2; exit 2; }
	@$(TENURE) run $(PIPELINE) --as-of $(AS_OF) --select $(TABLE)

.PHONY: show
show: build ## Print a published table: TABLE=metrics.rfm_segments PIPELINE=…
	@test -n "$(TABLE)" || { echo "say which: make show TABLE=metrics.rfm_segments" >&2; exit 2; }
	@$(TENURE) show $(PIPELINE) $(TABLE)

.PHONY: check
check: build ## Compile every pipeline: SQL, types, headers, rules
	@$(TENURE) check pipelines/*.yaml

$(HISTORY)/truth.json: | build
	@$(TENURE) generate $(HISTORY)

##@ Develop

.PHONY: build
build: compiler ## Build the program
	@$(CARGO) build --release --locked

.PHONY: test
test: compiler servers ## Run the tests
	@$(CARGO) test --release --locked

# Object stores for the tests, on this machine only, and what reads from them.
# Without a network or npm the tests that need them say that they were skipped.
.PHONY: servers
servers: ## Install the object stores that tests start
	@test -f $(SERVERS)/installed || { mkdir -p $(SERVERS) && \
	    python3 -m venv $(SERVERS)/venv && \
	    $(SERVERS)/venv/bin/pip install --quiet --requirement tests/it/stores/requirements.txt && \
	    npm install --silent --no-audit --no-fund --prefix $(SERVERS) azurite@3.37 s3rver@3.7.1 && \
	    touch $(SERVERS)/installed; } || echo "object stores are missing; their tests will be skipped"
	@test $(SERVERS)/readers -nt tests/it/stores/readers.txt || { \
	    $(SERVERS)/venv/bin/python -m pip install --quiet --requirement tests/it/stores/readers.txt && \
	    touch $(SERVERS)/readers; } || echo "some readers are missing; they will be skipped"

.PHONY: bless
bless: compiler ## Accept what the tests print now; read the diff before you commit it
	@INSTA_UPDATE=always $(CARGO) test --release --locked

.PHONY: bench
bench: build $(BENCH)/venv/installed ## Measure against DuckDB and Polars: SCENARIO=large ORDERS_MILLIONS=15 RUNS=3
	@$(BENCH)/venv/bin/python benches/bench.py --tenure $(TENURE) --folder $(BENCH) \
	    --millions $(ORDERS_MILLIONS) --runs $(RUNS) --scenario "$(SCENARIO)" --tools "$(TOOLS)"

$(BENCH)/venv/installed: benches/requirements.txt
	@python3 -m venv $(BENCH)/venv
	@$(BENCH)/venv/bin/pip install --quiet --requirement benches/requirements.txt
	@touch $@

.PHONY: lint
lint: compiler ## Formatting, clippy and documentation, warnings being errors
	@$(CARGO) fmt --check
	@$(CARGO) clippy --release --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps

.PHONY: clean
clean: ## Remove generated data and published tables; compiled code stays
	@rm -rf $(HISTORY) target/online_retail target/cdnow $(BENCH)

# Some dependencies are C; a Rust toolchain alone does not bring a compiler.
.PHONY: compiler
compiler:
	@command -v cc > /dev/null || { \
	    sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	    $$sudo apt-get update && $$sudo apt-get install --yes gcc libc6-dev; }

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

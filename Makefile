# `make` alone shows what there is. Every target builds with the same flags, so that nothing is
# built twice, and outside the checkout: into $CARGO_TARGET_DIR, else the user's cache folder.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check crash prove bench build fmt clippy unit deny changed docs python servers

CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/onceflow
ifeq ($(origin CARGO_TARGET_DIR), undefined)
CARGO_TARGET_DIR := $(CACHE)/target
endif
export CARGO_TARGET_DIR

# The AWS CLI, boto3, DuckDB, Polars and pyarrow, which some tests talk to or read back with. A
# folder for each list of versions. Tests that don't find it say so, and count as skipped.
REQUIREMENTS := tests/python/requirements.txt
PYTHON_ENV := $(CACHE)/python-$(shell cksum < $(REQUIREMENTS) | cut -d' ' -f1)
USE_PYTHON = if [ -e "$(PYTHON_ENV)/complete" ]; then export ONCEFLOW_PYTHON="$(PYTHON_ENV)/bin/python"; fi

# Servers that some tests talk to: a folder for each version. What can't be installed is skipped by
# name. Each script of tests/servers prints the folder where it put its server.
DYNAMODB := $(CACHE)/dynamodb-$(shell cat tests/servers/dynamodb/pom.xml tests/servers/dynamodb/Local.java | cksum | cut -d' ' -f1)
USE_SERVERS = if [ -e "$(DYNAMODB)/complete" ]; then export ONCEFLOW_DYNAMODB="$(DYNAMODB)"; fi

FLAGS := --workspace --locked
ONCEFLOW := $(CARGO_TARGET_DIR)/release/onceflow

# Runs a command under a headline, and says how long it took.
phase = @printf '\n== %s\n' "$(1)"; start=$$SECONDS; $(2); printf '== %s: %s s\n' "$(1)" "$$((SECONDS - start))"

help: ## Shows this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: build ## Builds, then runs the main job on real events and shows what happened
	@"$(ONCEFLOW)" demo

build: ## The release build
	@cargo build --release $(FLAGS) --no-default-features

test: fmt clippy python servers unit deny ## Every check that a change must pass

check: fmt clippy python servers changed ## Before each commit: formatting, lints, and the tests of what changed

crash: python servers ## Kills the real program at 30 random moments instead of 5, and at 50 under load of SDKs
	$(call phase,crash,$(USE_PYTHON); $(USE_SERVERS); \
	  ONCEFLOW_KILLS=30 ONCEFLOW_LOAD_KILLS=50 cargo test $(FLAGS) -p onceflow --test it -- kill --nocapture)

# PROVE_TIME=10m, or PROVE_KILLS=1000 PROVE_FAULTS=200, or both; without any of them a minute each.
PROVE := $(if $(PROVE_TIME),--time $(PROVE_TIME)) $(if $(PROVE_KILLS),--kills $(PROVE_KILLS)) \
  $(if $(PROVE_FAULTS),--faults $(PROVE_FAULTS)) $(if $(PROVE_SEED),--seed $(PROVE_SEED))

prove: build servers ## Kills the examples' pipes and lets their disk fail; nothing may be lost or there twice; walks through the larger model
	$(call phase,the model of shared stores,ONCEFLOW_MODEL=large cargo test $(FLAGS) -p dedup --lib -- model:: --nocapture --test-threads 1)
	$(call phase,prove examples/iot.yaml,$(USE_SERVERS); "$(ONCEFLOW)" prove examples/iot.yaml --generate examples/iot_config.yml $(PROVE))
	$(call phase,prove examples/learning-app.yaml,$(USE_SERVERS); "$(ONCEFLOW)" prove examples/learning-app.yaml --generate examples/event_config.yml $(PROVE))

python:
	$(call phase,python,if [ -e "$(PYTHON_ENV)/complete" ]; then :; \
	  elif python3 -m venv "$(PYTHON_ENV)" && "$(PYTHON_ENV)/bin/pip" install -q -r $(REQUIREMENTS); \
	  then touch "$(PYTHON_ENV)/complete"; \
	  else echo "python3 with venv and pip isn't there: tests that need it will be skipped by name"; fi)

servers:
	$(call phase,servers,tests/servers/dynamodb.sh "$(CACHE)"; tests/servers/redis.sh)

fmt:
	$(call phase,fmt,cargo fmt --all -- --check)

clippy:
	$(call phase,clippy,cargo clippy $(FLAGS) --all-targets -- -D warnings)

unit:
	$(call phase,unit,$(USE_PYTHON); $(USE_SERVERS); cargo test $(FLAGS) --no-fail-fast)

# The crates that differ from the last commit, and the program, whose tests walk through all.
changed:
	$(call phase,tests of what changed,$(USE_PYTHON); $(USE_SERVERS); \
	  crates=$$(git status --porcelain -- crates | cut -c4- | cut -d/ -f2 | sort -u | sed 's/^/-p /' | xargs); \
	  cargo test --locked $$crates -p onceflow)

deny:
	$(call phase,deny,if command -v cargo-deny >/dev/null; \
	  then cargo deny --workspace --locked check; \
	  else echo "skipped: deny (cargo-deny isn't installed)"; fi)

bench: build python ## Measures; the figures of docs/BENCHMARKS.md come from here
	@cargo bench $(FLAGS)
	@$(USE_PYTHON); "$${ONCEFLOW_PYTHON:-python3}" bench/once.py --onceflow "$(ONCEFLOW)"
	@python3 bench/stream.py --onceflow "$(ONCEFLOW)"
	@python3 bench/dedup.py
	@$(USE_PYTHON); program=$$(cargo bench -p lake --locked --bench compact --no-run 2>&1 | sed -n 's/.*(\(.*\)).*/\1/p' | tail -1); \
	  "$${ONCEFLOW_PYTHON:-python3}" bench/compact.py "$$program"

docs: build ## Writes docs/config.md anew, from the table of the config's keys
	@"$(ONCEFLOW)" config-docs > docs/config.md

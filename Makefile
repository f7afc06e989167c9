# `make demo` shows it, `make test` proves it. Everything that is built or fetched lands in target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
GO ?= go
PYTHON ?= python3
VENV := target/venv
REQUIREMENTS := tests/conformance/requirements.txt
DENY_VERSION := 0.20.2
DENY := target/tools/bin/cargo-deny

.PHONY: help test test-fast test-argocd lint doc unit control-plane integrations argocd-cm deny conformance venv demo demo-all crds docs bench fuzz kills simulation

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: control-plane lint doc unit integrations deny $(if $(wildcard $(REQUIREMENTS)),conformance) ## Every check: format, lints, docs, tests, dependencies, the official SDKs against the simulator, integrations

test-fast: lint ## What needs Rust alone
	$(CARGO) test -- --skip kubernetes::

demo: need-cargo ## A good release converges, a bad one is stopped at its canary
	$(CARGO) run -- demo

demo-all: need-cargo ## One release on all four clouds, side by side
	$(CARGO) run -- demo --all-clouds

lint: need-cargo
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

doc: need-cargo
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

unit: need-cargo
	$(CARGO) test

control-plane: need-go ## A real API server, etcd, kubectl, Helm, Argo CD and promtool for the tests: found, or made once
	@tests/kubernetes/control-plane etcd kube-apiserver kubectl helm promtool argocd argocd-redis

test-argocd: need-cargo control-plane ## Argo CD itself syncs integrations/argocd/example from git; part of `make test`
	$(CARGO) test --test it -- kubernetes::argo_sync

# Two modules: Flux and Argo CD need different versions of the same library. About four minutes to build, once. Go would take
# an earlier result for this one: it does not see what a test reads outside of its module. Argo CD is built with the same flags
# as in tests/kubernetes/control-plane, so that most of it is built once.
integrations: need-go ## integrations/ in Argo CD's and Flux's own evaluators
	CGO_ENABLED=0 nice $(GO) -C tests/argocd test -trimpath -count=1 ./...
	nice $(GO) -C tests/flux test -count=1 ./...

argocd-cm: need-go ## Write integrations/argocd/argocd-cm.yaml from the scripts beside it
	CGO_ENABLED=0 $(GO) -C tests/argocd test -trimpath -count=1 . -args -write

# `make test` runs the kept inputs and a fixed course of changed ones; here it goes on, from another seed each time.
FUZZ_SECONDS ?= 60
fuzz: need-cargo ## Fuzz for FUZZ_SECONDS a target; what fails is kept in target/fuzz/
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test --test it --test fuzz -- fuzz runs_by_drawn --nocapture

KILLS ?= 1000
KILLS_SEED ?= $(shell date +%s)
kills: need-cargo ## Kill the program KILLS times at drawn moments, from KILLS_SEED
	KILLS=$(KILLS) KILLS_SEED=$(KILLS_SEED) $(CARGO) test --test it -- engine::kills --nocapture

deny: $(DENY)-$(DENY_VERSION) ## Licences, sources and banned crates (deny.toml)
	$(CARGO) fetch --quiet --locked
	$(DENY) --offline --locked check --hide-inclusion-graph bans licenses sources

# Built once, in about four minutes of processor time.
$(DENY)-$(DENY_VERSION): | need-cargo
	$(CARGO) install --quiet --locked --root target/tools --version $(DENY_VERSION) cargo-deny
	mv $(DENY) $@
	ln -sf $(@F) $(DENY)

# The official SDKs from PyPI drive the simulator; there is one program a cloud.
conformance: venv
	$(CARGO) build
	@for program in $(wildcard tests/conformance/*.py); do \
	  echo "$$program"; $(VENV)/bin/python "$$program" target/debug/rollwave; \
	done

venv: $(VENV)/.stamp ## A Python with the official SDKs, in target/venv

$(VENV)/.stamp: $(REQUIREMENTS)
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON) (needed for the official SDKs; make test-fast does without)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: the venv module of $(PYTHON) (Debian: apt install python3-venv; make test-fast does without)" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r $(REQUIREMENTS)
	touch $@

crds: need-cargo ## Write crds/ and those of the chart from the types
	$(CARGO) run --quiet -- crds --dir crds
	$(CARGO) run --quiet -- crds --dir charts/rollwave/crds
	$(CARGO) run --quiet -- crds --json-schemas schemas

docs: need-cargo ## Write docs/clouds.md and the generated pages of docs/reference/
	@mkdir -p target
	$(CARGO) run --quiet -- clouds > target/clouds.md
	mv target/clouds.md docs/clouds.md
	UPDATE_DOCS=1 $(CARGO) test --quiet --test tidy the_generated_reference_is_current

# Settings: SIM_SEED, SIM_RUNS and more, as tests/simulation/README.md lists.
simulation: need-cargo ## Simulation runs: SIM_RUNS of them from SIM_SEED on, on all cores
	$(CARGO) test --quiet --package rollwave-simulation --profile simulation --test simulation

bench: need-cargo ## Measure reconciles, state, manifests and signing
	$(CARGO) bench --bench '*'

.PHONY: need-cargo need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "missing: $(GO) (needed for Argo CD's and Flux's evaluators: https://go.dev/dl; make test-fast does without)" >&2; exit 1; }

need-cargo:
	@command -v $(CARGO) >/dev/null || { echo "missing: $(CARGO) (install Rust from https://rustup.rs)" >&2; exit 1; }

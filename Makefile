# `make demo` shows it, `make test` proves it. Everything that is built or fetched lands in target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
GO ?= go
PYTHON ?= python3
VENV := target/venv
, := ,
REQUIREMENTS := tests/conformance/requirements.txt
DENY_VERSION := 0.20.2
DENY := target/tools/bin/cargo-deny
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX := target/tools/bin/cargo-cyclonedx

.PHONY: help test test-fast test-argocd lint doc unit control-plane integrations argocd-cm deny conformance venv demo demo-all crds docs bench safety fuzz kills simulation
.PHONY: advisories msrv dist image image-files release-check release

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: control-plane lint doc unit integrations deny $(if $(wildcard $(REQUIREMENTS)),conformance) ## Every check: format, lints, docs, tests, dependencies, the official SDKs against the simulator, integrations

test-fast: lint ## What needs Rust alone
	$(CARGO) test -- --skip kubernetes::

demo: need-cargo ## A good release converges, a bad one is stopped at its canary
	$(CARGO) run -- demo

demo-all: need-cargo ## One release on all four clouds, side by side
	$(CARGO) run -- demo --all-clouds

lint: need-cargo
	$(CARGO) fmt --all --check
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

# Not part of `make test`: the database is downloaded, and an advisory is no fault of the commit that is tested.
advisories: $(DENY)-$(DENY_VERSION) ## Known vulnerabilities of dependencies; needs the network
	$(DENY) --locked check --hide-inclusion-graph advisories

# The official SDKs from PyPI drive the simulator; there is one program a cloud.
conformance: venv
	$(CARGO) build
	@for program in $(wildcard tests/conformance/*.py); do \
	  echo "$$program"; $(VENV)/bin/python "$$program" "$${CARGO_TARGET_DIR:-target}/debug/rollwave"; \
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

bench: need-cargo ## Measure reconciles, state, manifests, signing and safety
	$(CARGO) bench --bench '*'

safety: need-cargo ## Measure how many devices a bad build reaches, and write it into its page
	UPDATE_DOCS=1 $(CARGO) bench --bench safety

MSRV = $(shell awk -F '"' '/^rust-version = / {print $$2}' Cargo.toml)
msrv: need-cargo ## Compile the program with the oldest Rust that Cargo.toml promises
	@command -v rustup >/dev/null || { echo "missing: rustup (install Rust from https://rustup.rs)" >&2; exit 1; }
	rustup toolchain install --profile minimal --no-self-update $(MSRV)
	$(CARGO) +$(MSRV) check --locked --package rollwave

# The files of a release. The same commit gives the same program and archives on any machine with the same Rust and clang.
VERSION = $(shell awk -F '"' '/^version = / {print $$2}' Cargo.toml)
DIST := target/dist
DIST_TARGETS ?= x86_64-unknown-linux-musl aarch64-unknown-linux-musl

dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: need-cargo $(CYCLONEDX)-$(CYCLONEDX_VERSION) ## Static programs for Linux, SBOMs and checksums, in target/dist/
	rm -rf $(DIST)
	mkdir -p $(DIST)
	for target in $(DIST_TARGETS); do \
	  .ci/static $$target target/static/$$target/rollwave; \
	  .ci/pack target/static/$$target/rollwave $(DIST)/rollwave-$(VERSION)-$$target.tar.gz; \
	  .ci/sbom $(CYCLONEDX)-$(CYCLONEDX_VERSION) $$target $(DIST)/rollwave-$(VERSION)-$$target.cdx.json; \
	done
	cd $(DIST) && sha256sum rollwave-* > SHA256SUMS

# Built once, in about four minutes of processor time.
$(CYCLONEDX)-$(CYCLONEDX_VERSION): | need-cargo
	$(CARGO) install --quiet --locked --root target/tools --version $(CYCLONEDX_VERSION) cargo-cyclonedx
	mv $(CYCLONEDX) $@

# Of the released archives themselves. PUSH=1 uploads it to the registry in IMAGE's name; it is written to a file otherwise.
IMAGE ?= rollwave
image: image-files ## Container image for amd64 and arm64, of the programs that `make dist` has packed
	@command -v docker >/dev/null || { echo "missing: docker with buildx (https://docs.docker.com/engine/install)" >&2; exit 1; }
	@docker info >/dev/null 2>&1 || { echo "missing: a running docker daemon that this user may use" >&2; exit 1; }
	docker buildx inspect rollwave >/dev/null 2>&1 || docker buildx create --name rollwave
	docker buildx build --builder rollwave --platform linux/amd64,linux/arm64 --build-arg BINARY=dist \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --tag $(IMAGE):$(VERSION) \
	  --output $(if $(PUSH),type=registry,type=oci$(,)dest=target/image/rollwave.tar) .

image-files:
	rm -rf target/image
	for arch in amd64=x86_64 arm64=aarch64; do \
	  archive=$(DIST)/rollwave-$(VERSION)-$${arch#*=}-unknown-linux-musl.tar.gz; \
	  test -f $$archive || { echo "missing: $$archive (make dist)" >&2; exit 1; }; \
	  mkdir -p target/image/$${arch%=*}; \
	  tar -xzf $$archive -C target/image/$${arch%=*} --strip-components=1; \
	done

release-check: ## TAG is that of the version in Cargo.toml, and CHANGELOG.md has a section for it
	@test "$${TAG:-}" = "v$(VERSION)" || { echo "TAG is \"$${TAG:-}\", and Cargo.toml has version $(VERSION): correct one of them" >&2; exit 1; }
	@.ci/changes $(VERSION) >/dev/null

release: release-check ## Publish TAG on GitHub with the files of `make dist`; needs gh and GH_TOKEN
	@command -v gh >/dev/null || { echo "missing: gh (https://cli.github.com)" >&2; exit 1; }
	cd $(DIST) && sha256sum --check SHA256SUMS
	.ci/changes $(VERSION) > target/release-notes.md
	gh release create "$$TAG" --verify-tag --title "Rollwave $(VERSION)" --notes-file target/release-notes.md $(DIST)/rollwave-* $(DIST)/SHA256SUMS

.PHONY: need-cargo need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "missing: $(GO) (needed for Argo CD's and Flux's evaluators: https://go.dev/dl; make test-fast does without)" >&2; exit 1; }

need-cargo:
	@command -v $(CARGO) >/dev/null || { echo "missing: $(CARGO) (install Rust from https://rustup.rs)" >&2; exit 1; }

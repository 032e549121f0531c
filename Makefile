# make help lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOL := go tool -modfile=tools.mod
# A control plane of Kubernetes, which takes a quarter of an hour to build for the first time.
CLUSTER := interop/kubernetes
# Modules beside the main one: outside clients and peers that only tests need.
MODULES := $(filter-out $(CLUSTER),$(patsubst %/go.mod,%,$(wildcard */go.mod */*/go.mod)))
# Packages where many goroutines meet, as far as they exist.
CONCURRENT := $(patsubst %,./%/...,$(wildcard store registry server))
# Tests that wait for a program of others, which has no races of ours: make test runs them.
FOREIGN := TestMLflow(Server|Client|TrackingServer|AliasIsAPromotion)$$|RealOpenLineageClient|InABrowser|BrowserChecks|Accessible|KeyboardAlone
BENCH ?= .
# More flags for go test, as in TESTFLAGS='-count=1 -v'.
TESTFLAGS ?=

export CGO_ENABLED ?= 0

.PHONY: help build setup test test-race test-long test-mlflow test-peers test-kubernetes lint fuzz bench bench-peers

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | column -t -s "$$(printf '\t')"

build: ## build bin/imprimatur, static
	go build -trimpath -o bin/imprimatur ./cmd/imprimatur

setup: ## install what the tests need; quick when it is there
	@scripts/setup.sh

test: setup ## run all tests of the main module
	go test -timeout 15m $(TESTFLAGS) ./...

test-race: setup ## run the tests of store, registry and server under the race detector (needs a C compiler)
	@if [ -z "$(CONCURRENT)" ]; then echo "test-race: none of store, registry and server exists" >&2; exit 1; fi
	CGO_ENABLED=1 go test -race -timeout 20m -skip '$(FOREIGN)' $(TESTFLAGS) $(CONCURRENT)

test-long: setup ## more iterations of everything, every fuzz target for FUZZTIME (60s), then test-kubernetes
	IMPRIMATUR_LONG=1 go test -count=1 -timeout 2h ./...
	scripts/fuzz.sh
	$(MAKE) test-kubernetes

test-mlflow: setup ## run MLflow's own registry tests against our server; MLFLOW names a checkout of its source
	@[ -n "$(MLFLOW)" ] || { echo "test-mlflow: say where a checkout of MLflow's source is: make test-mlflow MLFLOW=DIR" >&2; exit 2; }
	scripts/mlflow_blackbox.sh "$(MLFLOW)"

test-peers: setup ## run the tests of the modules that hold outside clients and peers
	@[ -n "$(MODULES)" ] || { echo "$@: there is no module beside the main one" >&2; exit 1; }
	@for m in $(MODULES); do echo "== $$m"; (cd "$$m" && go test -count=1 ./...); done

test-kubernetes: ## before a real API server and etcd, whose first build takes a quarter of an hour
	cd $(CLUSTER) && nice -n 19 go test -count=1 -timeout 2h $(TESTFLAGS) .

fuzz: ## every fuzz target for FUZZTIME (60s)
	scripts/fuzz.sh

lint: ## vet, staticcheck, gofumpt
	go vet ./...
	$(TOOL) staticcheck ./...
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted; run '$(TOOL) gofumpt -w .':" >&2; echo "$$unformatted" >&2; exit 1; fi

bench: setup ## benchmarks of the main module; BENCH selects
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 1h ./...

bench-peers: setup ## benchmarks against peers, from the modules beside the main one
	@[ -n "$(MODULES)" ] || { echo "$@: there is no module beside the main one" >&2; exit 1; }
	@for m in $(MODULES); do echo "== $$m"; (cd "$$m" && go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 1h ./...); done

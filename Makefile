# What a developer types. Everything that runs containers needs root.

GO        ?= go
TEST_ARGS ?=
RUNTIME   ?= runc
SEED      ?= 1
SEEDS     ?= 10000
FAULTS    ?= 200
DURATION  ?= 0
bin       := $(CURDIR)/bin

.PHONY: help
help:  ## Explain the targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup build  ## Run a controller with the example containers in the foreground; Ctrl-C leaves nothing behind
	@hack/run

.PHONY: demo
demo: setup build  ## Show the promises step by step, self-checking
	@hack/demo

.PHONY: test
test: setup build $(bin)/chaos $(bin)/sim $(bin)/runc-newest  ## Run every test, real runtimes required, then the demo and each fault of chaos on runc and crun
	@hack/test $(TEST_ARGS)

.PHONY: test-unit
test-unit:  ## Run the tests; those whose needs (root, a runtime) are missing are skipped
	@$(GO) test ./...

.PHONY: check
check: $(bin)/staticcheck  ## gofmt, vet, staticcheck and the import rules
	@hack/check

.PHONY: chaos
chaos: setup build $(bin)/chaos $(bin)/oldkernel  ## Inject every fault and compare with what the containers saw (RUNTIME=runc SEED=1 FAULTS=200 DURATION=10m)
	@$(bin)/chaos --runtime $(RUNTIME) --seed $(SEED) --faults $(FAULTS) --duration $(DURATION)

.PHONY: sim
sim: $(bin)/sim  ## Look for an order of events that breaks a promise, on a simulated node (SEEDS=10000 SEED=1)
	@$(bin)/sim --seed $(SEED) --seeds $(SEEDS)

.PHONY: fuzz
fuzz:  ## Fuzz each parser and protocol (FUZZTIME=20000x, or 2m; TARGET=FuzzParse for one)
	@hack/fuzz

.PHONY: bench
bench: setup build $(bin)/bench  ## Measure against an ideal loop around runc, then crun, arms interleaved
	@status=0; for runtime in runc crun; do $(bin)/bench --runtime $$runtime || status=1; done; exit $$status

.PHONY: growth
growth: setup build $(bin)/growth  ## Measure how costs grow from 10 manifests to 10 000
	@$(bin)/growth

.PHONY: build
build:  ## Build both programs, static, into bin/
	@CGO_ENABLED=0 $(GO) build -trimpath -o $(bin)/ ./cmd/...

.PHONY: bundles
bundles: setup  ## Fill in the root file systems below examples/bundles
	@hack/bundles

.PHONY: clean
clean:  ## Remove what was built
	@rm -rf $(bin) examples/bundles/*/rootfs

.PHONY: setup
setup:
	@hack/setup

# Go's own cache decides what is rebuilt. The payload of chaos runs inside containers without any library: static.
.PHONY: $(bin)/chaos $(bin)/sim $(bin)/bench $(bin)/growth $(bin)/oldkernel
$(bin)/chaos $(bin)/sim $(bin)/bench $(bin)/growth $(bin)/oldkernel:
	@CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./hack/$(@F)

# Modules of their own keep the tools' dependencies out of the product's.
$(bin)/staticcheck: tools/go.mod tools/go.sum
	@cd tools && GOBIN=$(bin) $(GO) install tool && touch $@

# One of the runtimes under test. runc enters namespaces in C, before Go's threads start.
$(bin)/runc-newest: tools/runc/go.mod tools/runc/go.sum
	@cd tools/runc && CGO_ENABLED=1 $(GO) build -trimpath -o $@ github.com/opencontainers/runc && touch $@

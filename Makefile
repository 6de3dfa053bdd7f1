# `make` alone explains the targets. CI runs .ci/run, not this file.

GO       ?= go
TOOL      = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 10s
KILLS    ?= 10000
SEED     ?= 1
VIRTUAL  ?= 24h
SOAK     ?= 1h
RUNS     ?= 10
LOAD     ?= $(shell nproc 2>/dev/null || echo 2)
CAMPAIGN ?= 30m

.DEFAULT_GOAL := help
.PHONY: help interop machines monitoring browser check full test race lint fmt vuln licences api bench kadsim conformance prose gen gen-check fuzz kills virtual-soak soak campaign census mutation mutation-report inversions release snapshot reproducible installed

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## before every commit: format, vet, linters, generated code, checklists, tests with -race, 2 s of each fuzz target
	bash tools/check.sh

full: ## before an issue is closed: all of CI, the long forms of tests, 10 s of each fuzz target, 1,000 kills of a node and 2,000 of actors, a store damaged everywhere, a day of stored messages, networks of 1,000 nodes, every benchmark with its result file
	GAMELAN_CI_ALL=1 bash .ci/run
	bash tools/tests.sh second_tier
	bash tools/fuzz.sh $(FUZZTIME)
	GAMELAN_KILLS=1000 $(GO) test -count=1 -timeout 40m -run TestKill ./tests/durable ./internal/actors/safpart/store ./internal/kad/keep
	GAMELAN_LONG=1 $(GO) test -count=1 -timeout 30m -run Damage ./internal/kv
	GAMELAN_LONG=1 $(GO) test -count=1 -timeout 30m -run 'TestSimulation$$' ./internal/kad/sim
	GAMELAN_STORED_DAY=1 $(GO) test -count=1 -v -timeout 2h -run 'TestBubbleStoredDay$$' ./tests/stored
	GAMELAN_NETWORK=1000 $(GO) test -count=1 -v -timeout 15m -run 'TestLargeNetwork$$' ./tests/network
	$(MAKE) kills KILLS=2000
	$(MAKE) lint bench

test: ## the README's test command
	$(GO) test ./...

race: ## all tests under the race detector
	$(GO) test -race -timeout 15m ./...

lint: ## golangci-lint (.golangci.yml)
	$(GO) tool -modfile=tools/golangci/go.mod golangci-lint run ./...

fmt: ## format every file
	$(TOOL) gofumpt -w $$(git ls-files '*.go' | grep -v '\.pb\.go$$')

vuln: ## known vulnerabilities of what we depend on (asks vuln.go.dev)
	bash tools/vuln.sh

licences: ## list the licences of all modules in docs/licences.md
	$(GO) -C tools run ./licences

api: ## accept the exported API as it is: write docs/api
	$(GO) -C tools run ./api

bench: ## measure beside the anchors, print the table of ratios, write bench/results/ (ARGS='-run oneway')
	cd bench && $(GO) run . $(ARGS)

interop: ## build real Tari nodes (needs Rust) and run the tests against them, as CI does
	bash tests/interop/build.sh
	GAMELAN_INTEROP=1 $(GO) test -count=1 -timeout 25m ./tests/interop

machines: ## nodes on machines in network namespaces: cables, routers, addresses; writes docs/machines.md (as root on Linux, 15 minutes)
	GAMELAN_MACHINES=1 GAMELAN_MACHINES_TABLE=$(CURDIR)/docs/machines.md $(GO) test -count=1 -v -timeout 1h ./tests/machines

monitoring: ## Prometheus (apt-get install prometheus) scrapes two nodes, and raises alerts when one is killed
	GAMELAN_PROMETHEUS=1 $(GO) test -count=1 -timeout 5m ./tests/monitoring

browser: ## the page in Chromium (apt-get install chromium nftables; as root on Linux); PICTURES=1 draws those of the documentation again
	$(GO) -C tests/browser test -count=1 -exec ./walled -timeout 8m -v $(if $(PICTURES),-run TestPictures . -args -update,.)

kills: ## kill KILLS (10000) actors at random under load; SEED picks others
	GAMELAN_ACTOR_KILLS=$(KILLS) GAMELAN_ACTOR_SEED=$(SEED) $(GO) test -count=1 -v -timeout 3h -run TestRandomKills ./tests/crashes

virtual-soak: ## 200 nodes with their managers on, messages and cuts, for VIRTUAL (24h) of virtual time
	GAMELAN_VIRTUAL_SOAK=$(VIRTUAL) $(GO) test -count=1 -v -timeout 3h -run 'TestBubbleManaged$$' ./tests/network

campaign: ## CAMPAIGN (30m) of attacks on a node, beside honest senders and a pair that nobody attacks; Linux, and root for a disk that can be filled
	GAMELAN_CAMPAIGN=$(CAMPAIGN) $(GO) test -count=1 -v -timeout 0 -tags campaign -run TestCampaign ./tests/campaign

census: ## RUNS (10) whole runs of the tests, quiet, beside LOAD burning processes, shuffled, raced; continues where it was stopped, writes docs/census.md
	$(GO) -C tools run ./census -runs $(RUNS) -load $(LOAD)

soak: ## SOAK (1h) of full traffic with both Tari nodes (make interop builds them), drawn as docs/soak.svg
	GAMELAN_INTEROP=1 GAMELAN_SOAK=$(SOAK) GAMELAN_SOAK_CSV=$(CURDIR)/docs/soak.csv $(GO) test -count=1 -v -timeout 0 -run TestSoak ./tests/interop
	$(GO) -C tools run ./soakplot -keep 240

kadsim: ## simulate a network of the key-value DHT in model time (ARGS='-nodes 1000 -churn 0.8 -loss 0.05')
	$(GO) -C tools run ./kadsim $(ARGS)

conformance: ## every item of the wire checklists with its tests, and what is missing
	$(GO) -C tools run ./conformance

prose: ## count long sentences, long lines and private words of each page (ARGS='-list docs/network.md' names each, ARGS=-accept lets counts grow)
	$(GO) -C tools run ./prose $(ARGS)

gen: ## generate internal/protocol/pb from its .proto files
	$(GO) -C tools run ./protogen

gen-check: ## fail when the generated code is stale
	$(GO) -C tools run ./protogen -check

fuzz: ## run each fuzz target for FUZZTIME (10s), one after another
	bash tools/fuzz.sh $(FUZZTIME)

# What make mutation tests.
PKG ?= ./identity ./protocol ./internal/protocol/address ./internal/protocol/frame ./internal/protocol/identify ./internal/protocol/messaging ./internal/protocol/negotiate \
	./protocol/rpc ./internal/protocol/onecall ./internal/transport/dial ./internal/transport/connpool ./internal/transport/mux ./internal/transport/noise ./internal/transport/upgrade ./supervisor ./peerstore

mutation: ## change one operator after another in PKG and see that its tests notice; writes docs/mutation.md (hours; ARGS='-percent 10')
	$(GO) -C tools/mutation run . $(ARGS) $(PKG)

mutation-report: ## write docs/mutation.md again from the kept results
	$(GO) -C tools/mutation run . -report

inversions: ## invert every rule of the checklists, and see that the tests which cite it fail; writes docs/inversions.md (ARGS='-only comms-031')
	$(GO) -C tools run ./inversions $(ARGS)

release: ## archives, packages, checksums and SBOMs of the tag of this commit, in dist/ (docs/release.md)
	sh packaging/goreleaser.sh release

snapshot: ## the same of any commit
	sh packaging/goreleaser.sh snapshot

reproducible: ## a snapshot twice, from two places; the checksums must be equal
	sh packaging/reproducible.sh

installed: ## as root: install the deb of dist/ in a root of its own, start its node, send it a message, purge it; compare the rpm
	bash packaging/installed.sh

# The test commands of .ci/run and of make census, by name: bash tools/tests.sh raced
# A file to source, or to run with the name of a function and its arguments.

# skipped reads go test -json; a skipped test is a failure where this is used.
skipped() {
	local program
	program=$(mktemp -d)/skipped || return 1
	go build -C tools -o "$program" ./skipped || return 1
	"$program"
	local status=$?
	rm -rf "$(dirname "$program")"
	return $status
}

# Bubbles of many nodes.
many="./tests/calls ./tests/conditions ./tests/crashes ./tests/envelopes ./tests/finding ./tests/hostile ./tests/inboxes ./tests/keyvalue ./tests/messages ./tests/network ./tests/stored"

# Bubbles of many clients of the key-value DHT.
clients="./kad ./internal/kad/keep"

# alone lists the packages in which nothing runs beside another, tests included: no goroutine, lock,
# channel, socket or node. The race detector has nothing to find there.
alone() {
	local package folder
	go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package folder; do
		grep -qE '\bgo (func|[[:alpha:]_.]+\()|\.(Go|Parallel)\(|\bchan |"(sync|sync/atomic|testing/synctest|net|net/http|os/exec)"|protoactor|gamelan/(gamelantest|supervisor|internal/nodetest)"|p2p/gamelan"' "$folder"/*.go || echo "$package"
	done
}

# raced runs all but the bubbles of many nodes and clients, Tari's nodes, Tor, Prometheus, machines, and what runs programs that
# are built without the race detector. All is vetted before. The multiplexer is tested twice, once with Reads that lead at once.
raced() {
	local all apart
	apart=$(go list $many $clients ./tests ./tests/processes ./tests/interop ./tests/machines ./tests/monitoring ./tests/onion && alone) || return 1
	all=$(go list ./...) || return 1
	grep -vxF "$apart" <<<"$all" | xargs go test -race -vet=off -timeout 15m -json "$@" | skipped || return 1
	go test -race -vet=off -json -run UDP\|UnderLoad "$@" ./kad | skipped || return 1
	GAMELAN_LEADS=1 go test -race -vet=off -json "$@" ./internal/transport/mux | skipped
}

# Two processors that fire timers of one bubble at a time crash the race detector
# itself (Go 1.26), which many nodes in a bubble bring about now and then.
raced_in_bubbles() { go test -race -vet=off -cpu 1 -timeout 25m -json "$@" $many $clients | skipped; }

# Tests that go test ./... runs with fewer nodes, messages or rounds, or for less time.
long='
	TestBubbleSoak$ TestBubbleManaged$ TestBubbleStoredDay$ TestChurn$ TestMemoryNetworkOf40$ TestMemorynet$
	TestNetwork$ TestRelayRing$ TestLines TestInbox TestReaderThatStandsStill$ TestBubbleHandlerLeaves$
	TestBlockedHandlerOverTCP$ TestThousandClients$ TestOutcomesForADay$ TestExample TestRotationUnderTraffic$
	TestBubbleCrossingDials$ TestEveryActorPanicsEverywhere$ TestRandomKills$ TestSingles$ TestUntilSoon$
	TestCloseRounds$ TestFirstRestart$ TestKeptOverKills$ TestEverythingAtOnce$ TestBubbleTypeStuck$
	TestBubbleDHTDay$ TestDHTOrderUnderLoad$ TestBubbleSmallNetworkIsNotStarved$ TestBubblePeerLists$
	TestMixedNetwork$ TestNoCallIsLostWhenSessionsMakeWay$ TestStorm$ TestIndexModel$ TestClientAmongServers$ TestSession$
'

# second_tier runs them in full. A virtual day of TestChurn (GAMELAN_CHURN) is run by hand,
# a simulated network of 1,000 nodes by make full.
second_tier() {
	local names
	names=$(printf '%s|' $long)
	GAMELAN_LONG=1 go test -count=1 -timeout 25m -run "${names%|}" -json "$@" . $many ./tests ./tests/processes ./tests/seednode \
		./dht ./internal/dht/saf ./internal/protocol/manycalls | skipped
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	cd "$(dirname "$0")/.."
	"$@"
fi

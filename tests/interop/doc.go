// Package interop tests this node against real nodes of Tari, built from the crates of two
// of its releases, and of a third one from its source tree. rust/ has their source and describes their commands; build.sh builds
// them. Every test runs against both releases and, where the dialling side matters, in both
// directions. The tests run with GAMELAN_INTEROP=1; then a node that is not built is a
// failure. Without it one test is skipped and says what to do. GAMELAN_INTEROP_LONG=1 makes
// the slow reader slow for a minute, tests the pace of the DHT for five and the mixed traffic,
// of two nodes and of a network, for ten, which needs a longer -timeout. GAMELAN_INTEROP_LOG=1 shows the log of our nodes.
//
// Tests in files dht_… are about messages of the DHT: each ends with a check of the bans of
// both sides.
package interop

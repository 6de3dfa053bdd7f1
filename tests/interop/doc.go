// Package interop proves this node against real nodes of Tari, built from the
// crates of two of its releases: rust/ holds their source and says what they can
// be told, build.sh builds them. Every test runs against both and, where it
// matters who dials, in both directions. They run when GAMELAN_INTEROP=1 says
// so; a node that is not built is a failure then, and otherwise one test is
// skipped and says what to do. GAMELAN_INTEROP_LONG=1 makes the slow reader slow
// for a minute, the pace of the DHT be kept for five and the mixed traffic last
// for ten, which takes a -timeout of its own; GAMELAN_INTEROP_LOG=1 shows what our
// nodes log.
//
// What begins with dht_ is about messages of the DHT: each such test ends with a
// look at the bans of both sides.
package interop

// Package gamelantest helps to test programs that use gamelan. It runs whole nodes in
// virtual time, on a network in memory with latency, cuts and partitions.
//
// [Bubble] runs a test in a testing/synctest bubble: an hour of keep-alives
// takes milliseconds, and a goroutine left behind fails the test. [NewNetwork]
// makes a network whose nodes are the ordinary ones, with the real handshake,
// encryption and multiplexer on connections that carry bytes:
//
//	func TestGreeting(t *testing.T) {
//		gamelantest.Bubble(t, func(t *testing.T) {
//			net := gamelantest.NewNetwork(t)
//			heard := gamelantest.NewCollector()
//			alice := net.Start(gamelan.Config{})
//			bob := net.Start(gamelan.Config{}, gamelan.WithHandler(heard.New))
//			net.Connect(alice, bob)
//			…
//		})
//	}
//
// [Network] separates nodes, heals the partition and cuts connections. [Crash] makes an
// actor of a node fail as a bug in it would, and [CrashAt] one of the user's at a chosen
// message; a method of a service panics by itself. [Healed] waits for the
// tree to recover, and [Eventually] for any condition, in virtual time. A [Collector] is
// a handler that records messages and can block. Each node has a [Clock], whose time of
// day can be set forward and back.
//
// Run "go mod tidy" when a module first imports this package: it needs modules that a
// program itself does not.
//
// Networks and Collectors work outside bubbles as well, in real time;
// Eventually, Connect and Healed then wait for real. Tests in bubbles must not
// call t.Parallel.
package gamelantest

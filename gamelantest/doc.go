// Package gamelantest helps to test programs that use gamelan: whole nodes in
// virtual time, on a network in memory that can be slow, cut and parted.
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
// [Network] parts and heals nodes and cuts their connections; [Crash] and
// [CrashTask] make an actor of a node fail as a bug in it would. [Healed] says
// whether the tree has recovered, [Eventually] waits in virtual time, and a
// [Collector] is a handler that remembers what it has heard, and blocks when
// told to. Each node has a [Clock], whose time of day can be set forward and
// back.
//
// The first test of a module that imports this package needs "go mod tidy": it
// brings modules that a program itself does not need.
//
// Networks and Collectors work outside bubbles as well, in real time;
// Eventually, Connect and Healed then wait for real. Tests in bubbles must not
// call t.Parallel.
package gamelantest

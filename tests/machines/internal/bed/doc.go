// Package bed makes machines for tests: network namespaces of Linux, each with a router in
// front of it, and an internet in user space between the routers (package internet).
//
//	machine A ── cable ── router A ──┐
//	machine B ── cable ── router B ──┼── internet ── DNS server
//	…                                ┘
//
// Machine number N has the address 11.N.0.10, its router the net 11.N.0.0/24. Others see the
// address as public, and the two machines in different networks (/16). Behind a NAT the machine
// has 192.168.N.10, and others see its router's 11.N.255.1. Nothing of it leads out of this
// system, so the addresses need not be ours.
//
// A test says what happens, and a [Bed] carries it out:
//
//	net := fresh(t) // the bed of all tests, as new
//	a, b := net.Machine("A"), net.Machine("B")
//	a.Node("--listen", bed.Listen)
//	b.Node("--listen", bed.Listen, "--peer", a.Line())
//	b.Cut()
//	net.Within(time.Minute, "a notices", func() bool { return !a.Connected(b) })
//
// The verbs of a machine are in machine.go, those of its router in router.go, the name server
// in dns.go. What a verb cannot do fails the test. Programs run with "ip netns exec"; what they
// write is shown when the test fails, and they end with it.
//
// Names of namespaces and folders hold the process id. [Bed.Close] removes them, and the next
// [Start] those of processes that were killed.
//
// The package needs Linux, root, and the programs ip, nft and dnsmasq.
package bed

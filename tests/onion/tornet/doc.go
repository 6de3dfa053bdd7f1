// Package tornet runs a whole Tor network on this machine, for tests, examples and benchmarks:
// three directory authorities, four relays, two of them exits, and clients, each with a control
// port and two SOCKS ports. Every socket is on 127.0.0.1; the exits connect to this machine alone.
//
// It needs Debian's package tor (the programs tor and tor-gencert), or the like. The network is
// ready about 20 s after [Start], on a machine with two processors and other work after up to a
// minute: the authorities vote at a moment that is fixed before they start.
//
// Tor ends by itself, within 15 s, when the process that started it has ended. The program
// tests/onion/tornet/run starts a network for one command.
//
// Files: network.go starts and ends it, process.go has one Tor, keys.go the keys of authorities
// and relays, torrc.go the settings, consensus.go what the authorities agree on, client.go what
// tests use.
package tornet

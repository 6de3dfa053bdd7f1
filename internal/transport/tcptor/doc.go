// Package tcptor is the transport that chooses between TCP and a Tor proxy for each address.
// A node has it in one of two modes.
//
// [Hidden] is for a node that must not show its IP address: it dials everything through the
// proxy, and listens on loopback alone, where an onion service leads. Addresses can be
// excepted ([Options]); none is by default.
//
// [Open] is for a node with an address of its own: it dials IP addresses directly and onion
// services through the proxy, and lets Tor look names up.
//
//	address                  Hidden            Hidden, excepted   Open
//	/onion3                  proxy             proxy              proxy
//	/ip4, /ip6               proxy             TCP                TCP
//	/dns, /dns4              proxy             TCP                TCP, after the proxy's RESOLVE
//	/dns6                    refused           TCP                TCP
//
// spec: comms 2.1, 2.2
package tcptor

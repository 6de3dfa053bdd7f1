// Package transport defines the interface between the network and everything above it:
// a [Transport] dials and listens on multiaddrs and returns ordinary byte streams.
// Other packages in this directory use these streams: noise encrypts them, mux divides
// a connection into substreams, and upgrade runs both in the order of the profile.
//
// The packages tcp, memory, socks and tcptor are implementations; each passes the suite in
// transporttest. A new one needs no change elsewhere: implement the three
// interfaces, return the typed errors, run the suite.
package transport

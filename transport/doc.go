// Package transport is the seam between the network and everything above it: a
// [Transport] dials and listens on multiaddrs and hands out ordinary byte
// streams. What travels on those streams is the business of the packages
// below it: noise encrypts, mux divides a connection into substreams, upgrade
// runs both in the order that a profile asks for.
//
// Implementations are the packages tcp and memory; each passes the suite in
// transporttest. A new one needs no change elsewhere: implement the three
// interfaces, return the typed errors, run the suite.
package transport

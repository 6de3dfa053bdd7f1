// Package socks is the transport through a SOCKS5 proxy: it dials /ip4, /ip6, /dns and /dns4
// with /tcp behind, and /onion3, all through the proxy, and listens on TCP.
//
// The proxy resolves names. This package never looks one up: the address of the proxy is an
// IP address or a Unix socket, and names go to the proxy as they are. /dns6 and /dnsaddr
// are refused, because a proxy has no request for them.
//
// Each step has a time limit of its own ([Limits]). An [Error] names the step that failed,
// the cause, the proxy's reply code (those of RFC 1928 and those of Tor), and whether
// another try can help.
//
// Tor gives each pair of user name and password circuits of its own. [Isolation] chooses
// which dials share a pair. After two failed dials in a row of one address the pair
// changes, because Tor may hold on to circuits of a peer that has restarted.
//
// Files: wire.go has the bytes, code.go the reply codes, error.go the errors, dial.go the
// exchange, isolation.go the pairs, transport.go the rest.
//
// spec: comms 2.1, 2.3
package socks

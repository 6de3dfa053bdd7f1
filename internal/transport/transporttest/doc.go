// Package transporttest is the test suite for implementations of transport.Transport:
// run [Conformance] from a test in the implementation's package. For tests it also has a name
// server ([NameServer]) and a SOCKS5 proxy ([Proxy]).
package transporttest

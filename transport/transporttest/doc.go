// Package transporttest is the test suite for implementations of transport.Transport:
// run [Conformance] from a test in the implementation's package.
package transporttest

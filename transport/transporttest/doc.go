// Package transporttest is the suite that every implementation of
// transport.Transport passes: run [Conformance] from a test of its package.
package transporttest

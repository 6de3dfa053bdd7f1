// Package tor tests the transports that go through other programs against these programs:
// the SOCKS5 proxy microsocks. The tests run with GAMELAN_TOR=1; then a program that is not
// installed is a failure. Without it one test is skipped and says what to do.
package tor

// Package onion tests what goes through other programs against these programs: the SOCKS5
// proxy microsocks, Tor without a network, and a private Tor network (package tornet). The
// tests run with GAMELAN_TOR=1; then a program that is not installed is a failure. Without it
// one test is skipped and says what to do.
package onion

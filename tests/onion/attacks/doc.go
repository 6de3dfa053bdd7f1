// Package attacks tests nodes behind Tor without Tor: a control port of the test says what it
// likes, and a SOCKS5 proxy of the test leads from onion services to their listeners.
package attacks

// Package browser looks at a living network through the page, in a real Chromium. It is a module of its
// own, as only it needs one. tools/tests.sh runs it where a firewall stands before one of the peers.
package browser

// Package gate lets requests to a node's API in over TCP: from other machines, and from a browser.
//
// A program sends a token. A browser comes with a link that works once and gets a cookie for it. Each has
// a scope: a reader only looks, an admin changes the node as well. What is in messages and values passes
// over TLS alone, and to an admin alone.
//
// [Gate] is the handler, [Serve] the server with limits and time limits, [Own] the node's own certificate,
// and [Through] the way to a node whose page a command serves.
package gate

// Package client asks a running node over the socket in its data directory, from another process
// or from the same one.
//
//	c := client.New(dir, client.Options{})
//	tree, err := c.Tree(ctx, client.Part{Depth: -1})
//
// A node has the socket with gamelan.WithInspector, which can only be read, with
// package inspect/control, or when it is run by the command gamelan. What each request answers is in
// inspect/models. Peers are written as a person writes them: a node id, a public key, the
// beginning of one of them, or KEY::ADDRESS.
//
// What the node refuses is an [*inspect.Error]. Without an answer of the node, the error is an
// [*Error], or that of ctx. [CodeOf] tells all of them apart.
package client

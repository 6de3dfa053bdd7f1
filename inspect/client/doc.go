// Package client asks a running node over the socket in its data directory, from another process
// or from the same one, or over TCP with a token: [NewRemote].
//
//	c := client.New(dir, client.Options{})
//	tree, err := c.Tree(ctx, client.Part{Depth: -1})
//
// A node has the socket with gamelan.WithInspector, which can only be read, with
// package inspect/control, or when it is run by the command gamelan. What each request answers is in
// inspect/models. Peers are written as a person writes them: a node id, a public key, the
// beginning of one of them, or KEY::ADDRESS.
//
// The node refuses with an [*inspect.Error]. If the node does not answer, the client fails with an
// [*Error], or with the error of ctx. [CodeOf] tells them apart.
package client

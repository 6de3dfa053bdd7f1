package inspect

import "context"

// Source provides the actors to the inspector. [FromRoot] returns one for a running
// supervisor tree.
type Source interface {
	// Actors returns all actors at this moment, with siblings in the order in which
	// they are shown. It asks no actor.
	Actors() []Actor
	// Ask lets the actor at path describe itself, in its own turn, before ctx ends. An
	// actor without a description answers with the zero Detail.
	Ask(ctx context.Context, path string) (Detail, error)
}

// Detail is an actor's description of itself.
type Detail struct {
	Line  string // one line, for the tree
	Value any    // anything that encoding/json can write
}

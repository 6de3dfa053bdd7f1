package inspect

import "context"

// Source is where the inspector reads actors from. [FromRoot] makes
// one of a running supervisor tree.
type Source interface {
	// Actors returns every actor at this moment, siblings in the order in which
	// they are to be shown. Nobody is asked.
	Actors() []Actor
	// Ask lets the actor at path describe itself, in its own turn, before ctx
	// ends. An actor that has nothing to say answers with the zero Detail.
	Ask(ctx context.Context, path string) (Detail, error)
}

// Detail is what an actor says of itself.
type Detail struct {
	Line  string // one line, for the tree
	Value any    // anything that encoding/json can write
}

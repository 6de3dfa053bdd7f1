// Package render writes the values of a node's API as text for people, or as JSON
// for programs.
package render

import (
	"encoding/json"
	"fmt"
	"io"
)

// Output are the outputs of a command, and their form.
type Output struct {
	Out, Err                 io.Writer
	OutTerminal, ErrTerminal bool
	Columns                  int                        // width of the terminal; 0: it is asked
	JSON                     bool                       // for programs
	Verbose                  bool                       // show node ids beside names and public keys
	Names                    func() NamesOf             // names that the user gave to peers; any goroutine may call it. nil: there are none
	Keys                     func(nodeID string) string // the public key of a peer, by its node id or the beginning of it, "" if it is not known; any goroutine may call it. nil: none is known
	Args                     string                     // the option that names the data directory on a command line, with a space before it
}

// Command returns a command line of gamelan for the same data directory, for pasting. Peers
// in it have their names.
func (o *Output) Command(verb string) string { return "gamelan " + o.commandNamed(verb) + o.Args }

// to returns an Output that writes to w.
func (o *Output) to(w io.Writer) *Output {
	other := *o
	other.Out = w
	return &other
}

// PrintJSON writes v on one line.
func (o *Output) PrintJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "%s\n", b)
	return err
}

// Each writes each of all on one line.
func Each[T any](o *Output, all []T) error {
	for _, v := range all {
		if err := o.PrintJSON(v); err != nil {
			return err
		}
	}
	return nil
}

// Note writes a line for a person to standard error. With --json it writes nothing.
func (o *Output) Note(format string, args ...any) {
	if !o.JSON {
		o.Complain(fmt.Sprintf(format, args...))
	}
}

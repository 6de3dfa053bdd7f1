package render

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The columns of an event.
const (
	timeWidth = 27 // of the time with its zone, with two spaces behind it
	typeWidth = 16
)

// colours are those of what somebody should see.
var colours = map[models.EventSeverity]string{models.EventWarning: "\x1b[33m", models.EventError: "\x1b[31m"}

// Event writes an event.
func Event(o *Output, e *models.Event) error {
	if o.JSON {
		return o.PrintJSON(e)
	}
	what := Plain(e.What)
	if e.Addr != "" {
		what = e.Addr + ": " + what
	}
	if e.Peer != "" {
		what = o.Who(e.Peer) + " " + what
	}
	if e.Code != "" {
		what += " (" + e.Code + ")"
	}
	line := o.wrap(fmt.Sprintf("%-*s%-*s%s", timeWidth, at(e.At), typeWidth, inspect.Escape(e.Type), inspect.Escape(o.Named(what))), timeWidth)
	if colour := colours[e.Severity]; o.Colour() && colour != "" {
		line = colour + line + "\x1b[0m"
	}
	return Styled(o.Out, line+"\n")
}

package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The columns of an examination.
const (
	markWidth = 8  // of the state
	stepWidth = 13 // of the step
)

// marks are the states of steps, and their colours.
var marks = map[models.CheckState]struct{ word, colour string }{
	models.CheckOK:     {"ok", "\x1b[32m"},
	models.CheckNote:   {"note", "\x1b[33m"},
	models.CheckFailed: {"FAILED", "\x1b[31m"},
}

// Checked writes a step of an examination, as it ends.
func Checked(o *Output, c *models.Checked) error {
	if o.JSON {
		return nil // all of it stands in one object, at the end
	}
	mark := marks[c.State]
	what := Plain(c.What)
	if c.On != "" {
		what = c.On + ": " + what
	}
	if c.TookMS > 0 {
		what += fmt.Sprintf(" (%.1f ms)", c.TookMS)
	}
	if c.Notice != nil && c.State != models.CheckOK { // the sentence has the address
		if who, at, ok := strings.Cut(c.On, " at "); ok && strings.Contains(what, hostPort(at)) {
			what = strings.TrimPrefix(what, c.On+": ")
			what = who + ": " + what
		} else if strings.Contains(strings.TrimPrefix(what, c.On+": "), hostPort(c.On)) && c.On != "" {
			what = strings.TrimPrefix(what, c.On+": ")
		}
	}
	line := o.wrap(fmt.Sprintf("%-*s%-*s%s", markWidth, mark.word, stepWidth, c.Step, inspect.Escape(o.Named(what))), markWidth+stepWidth)
	if o.Colour() {
		line = mark.colour + mark.word + "\x1b[0m" + strings.TrimPrefix(line, mark.word)
	}
	return Styled(o.Out, line+"\n")
}

// examinedJSON is the output of an examination for programs.
type examinedJSON struct {
	Steps     []models.Checked `json:"steps"`
	Diagnosis models.Diagnosis `json:"diagnosis"`
}

// Diagnosis writes the end of an examination: one cause, and one next step.
func Diagnosis(o *Output, steps []models.Checked, d *models.Diagnosis) error {
	if o.JSON {
		return o.PrintJSON(examinedJSON{steps, *d})
	}
	text := "\n" + inspect.Escape(o.Named(Plain(d.What))) + ".\n"
	if d.Cause != nil {
		n := *d.Cause
		n.Step = ""
		text += o.wrap("Cause:  "+inspect.Escape(o.Named(Plain(Notice(n))))+" ("+n.Code+")", len("Cause:  ")) + "\n"
		if next := Step(*d.Cause); next != "" {
			text += o.wrap("Next:   "+inspect.Escape(o.Named(next)), len("Next:   ")) + "\n"
		}
	}
	for i, n := range d.Also {
		label := "        "
		if i == 0 {
			label = "Also:   "
		}
		text += o.wrap(label+inspect.Escape(o.Named(Plain(n.What)))+" ("+n.Code+")", len(label)) + "\n"
	}
	return Styled(o.Out, text)
}

package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// The columns of a line of a trace.
const (
	traceTime  = 31 // of the time, with two spaces behind it
	traceWidth = 14
)

// Traced writes a line of a trace.
func Traced(o *Output, m *models.Traced) error {
	if o.JSON {
		return o.PrintJSON(m)
	}
	if m.Lost > 0 {
		if err := Styled(o.Out, fmt.Sprintf("%s came too fast, and are not shown\n", inspect.Count(m.Lost, "line"))); err != nil {
			return err
		}
	}
	var what []string
	add := func(text string) {
		if text != "" {
			what = append(what, inspect.Escape(o.Named(Plain(text))))
		}
	}
	if m.Peer != "" {
		add(o.Who(m.Peer))
	}
	add(m.Type)
	if m.From != "" {
		add("from " + m.From)
	}
	if m.Type != "" {
		add(fmt.Sprintf("took %.3f ms", m.TookMS))
	}
	if m.Queue > 0 {
		add(inspect.Count(uint64(m.Queue), "message") + " behind it")
	}
	if m.Failed {
		add("PANICKED")
	}
	add(m.Protocol)
	if m.Tag != "" {
		add("tag " + m.Tag)
	}
	if m.Size > 0 {
		add(inspect.Count(uint64(m.Size), "byte"))
	}
	add(m.Note)
	line := o.wrap(fmt.Sprintf("%-*s%-*s%s", traceTime, m.At.Local().Format("2006-01-02T15:04:05.000Z07:00"), traceWidth, m.What, strings.Join(what, ", ")), traceTime+traceWidth)
	if m.Failed && o.Colour() {
		line = "\x1b[31m" + line + "\x1b[0m"
	}
	return Styled(o.Out, line+"\n")
}

package nodeview

import (
	"context"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Program returns the part with the sections and the checks that the program gave the node alone.
func Program(sections map[string]func(context.Context) any, checks []func() error) actors.Part {
	return actors.Part{Name: "program", Sections: sections, Degraded: func() (list models.Notices) {
		for _, check := range checks {
			if err := Safely(check); err != nil {
				list = append(list, codes.Program.Notice(err.Error()))
			}
		}
		return list
	}}
}

// Safely calls a function of the program, and makes an error of its panic.
func Safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

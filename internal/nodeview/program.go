package nodeview

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Program returns the part with the sections, the checks and the notices that the program gave the node alone.
func Program(sections map[string]func(context.Context) any, checks []func() error, notices []func() models.Notices) actors.Part {
	said := func(degraded bool) (list models.Notices) {
		for _, find := range notices {
			var all models.Notices
			if err := Safely(func() error { all = find(); return nil }); err != nil {
				all = models.Notices{codes.Program.Notice(err.Error())}
			}
			for _, n := range all {
				n.Severity, n.Program = cmp.Or(n.Severity, models.Warning), true
				if degraded == (n.Severity != models.Warning) {
					list = append(list, n)
				}
			}
		}
		return list
	}
	return actors.Part{
		Name: "program", Sections: sections,
		Warnings: func() models.Notices { return said(false) },
		Degraded: func() (list models.Notices) {
			for _, check := range checks {
				if err := Safely(check); err != nil {
					list = append(list, codes.Program.Notice(err.Error()))
				}
			}
			return append(list, said(true)...)
		},
	}
}

// OfProgram returns a part of the program whose notices say that the program has written them.
func OfProgram(p actors.Part) actors.Part {
	for _, say := range []*func() models.Notices{&p.Degraded, &p.Warnings, &p.PeerWarnings} {
		if find := *say; find != nil {
			*say = func() models.Notices {
				list := slices.Clone(find())
				for i := range list {
					list[i].Program = true
				}
				return list
			}
		}
	}
	return p
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

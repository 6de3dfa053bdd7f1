package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// variable chooses an inversion of a woven binary.
const variable = "GAMELAN_INVERSION"

// weave returns files that contain all of invs beside the original code: a changed function
// checks at its beginning which inversion is chosen, and runs that body. So one build serves
// all of them. alone are the inversions that change code outside of functions, or functions
// with labels; each needs its own build.
func weave(src *sources, invs []*inversion) (files map[string]string, woven, alone []*inversion, err error) {
	bodies := map[string]map[string][]insertion{} // by file and function
	for _, inv := range invs {
		changed, fits, err := inv.bodies(src)
		if err != nil {
			return nil, nil, nil, err
		}
		if !fits {
			alone = append(alone, inv)
			continue
		}
		woven = append(woven, inv)
		for file, fs := range changed {
			if bodies[file] == nil {
				bodies[file] = map[string][]insertion{}
			}
			for name, body := range fs {
				bodies[file][name] = append(bodies[file][name], insertion{inv.name, body})
			}
		}
	}
	files = map[string]string{}
	for file, fs := range bodies {
		s := src.files[file]
		text, last := "", 0
		for _, f := range s.funcs {
			ins := fs[f.name]
			if len(ins) == 0 {
				continue
			}
			text += s.text[last : f.open+1]
			last = f.open + 1
			for _, in := range ins {
				text += fmt.Sprintf("\n\tif inversionChosen == %q {\n//line %s.go:1\n%s\n", in.name, in.name, in.body)
				if !f.results {
					text += "\treturn\n"
				}
				text += "}\n"
			}
			text += fmt.Sprintf("//line %s:%d\n", path.Base(file), 1+strings.Count(s.text[:last], "\n"))
		}
		files[file] = text + s.text[last:]
		files[path.Join(path.Dir(file), "inversion_chosen.go")] = fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar inversionChosen = os.Getenv(%q)\n", s.pkg, variable)
	}
	return files, woven, alone, nil
}

type insertion struct{ name, body string }

// bodies returns the changed bodies by file and function. fits is false if inv changes more
// than bodies.
func (inv *inversion) bodies(src *sources) (changed map[string]map[string]string, fits bool, err error) {
	type cut struct {
		place
		text string
	}
	cuts := map[string]map[string][]cut{}
	fits = true
	for _, e := range inv.edits {
		s, err := src.get(e.file)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", inv.name, err)
		}
		p, err := s.find(e)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", inv.name, err)
		}
		if p.in == nil || p.in.labels || p.in.name == "init" {
			fits = false
			continue
		}
		if cuts[e.file] == nil {
			cuts[e.file] = map[string][]cut{}
		}
		cuts[e.file][p.in.name] = append(cuts[e.file][p.in.name], cut{p, e.replacement()})
	}
	changed = map[string]map[string]string{}
	for file, fs := range cuts {
		changed[file] = map[string]string{}
		for name, cs := range fs {
			slices.SortFunc(cs, func(a, b cut) int { return a.begin - b.begin })
			s := src.files[file]
			f := cs[0].in
			body, last := "", f.open+1
			for _, c := range cs {
				if c.begin < last {
					return nil, false, fmt.Errorf("%s: two of its edits overlap in %s", inv.name, file)
				}
				body += s.text[last:c.begin] + c.text
				last = c.end
			}
			changed[file][name] = body + s.text[last:f.close]
		}
	}
	return changed, fits, nil
}

// plain returns the files as inv changes them.
func (inv *inversion) plain(src *sources) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range inv.edits {
		s, err := src.get(e.file)
		if err != nil {
			return nil, err
		}
		if _, err := s.find(e); err != nil {
			return nil, err
		}
		text, ok := files[e.file]
		if !ok {
			text = s.text
		}
		// An earlier edit of the file may have moved the function.
		now := &source{path: e.file, text: text}
		if e.in != "" {
			if now, err = parseSource(e.file, text); err != nil {
				return nil, err
			}
		}
		p, err := now.find(e)
		if err != nil {
			return nil, err
		}
		files[e.file] = text[:p.begin] + e.replacement() + text[p.end:]
	}
	return files, nil
}

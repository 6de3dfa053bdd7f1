package disguise

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
)

// fields are those whose texts people and programs choose, or that hold bytes: only their length is told.
var fields = []string{"text", "body", "payload", "value", "ban_reason", "salt", "seed", "detail", "line"}

// exempt are fields whose digits tell nothing about anybody, and help to find the code.
var exempt = []string{"revision", "stack_id"}

// keyed are fields whose keys are names that people choose, and the kind of each.
var keyed = map[string]string{"untaken": "topic", "seed_names": "host"}

// chosen are the codes of notices whose words may be those of a program, such as the value of a panic.
var chosen = []string{codes.Program.Name, codes.Restarting.Name, codes.ActorPanicked.Name, codes.OwnPanicked.Name, codes.OwnStopped.Name}

// JSON returns v, a value that can be written as JSON, without secrets, and with pseudonyms.
func (d *Disguise) JSON(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	in := json.NewDecoder(bytes.NewReader(b))
	in.UseNumber()
	var tree any
	if err := in.Decode(&tree); err != nil {
		return nil, err
	}
	return d.walk("", tree), nil
}

// walk disguises the value of a field.
func (d *Disguise) walk(field string, v any) any {
	switch v := v.(type) {
	case string:
		switch {
		case slices.Contains(exempt, field):
			return v
		case slices.Contains(fields, field):
			return LeftOut(v)
		}
		return d.Text(v)
	case []any:
		for i := range v {
			v[i] = d.walk(field, v[i])
		}
	case map[string]any:
		if slices.Contains(fields, field) {
			return "(left out)"
		}
		if what, ok := v["what"].(string); ok && (isChosen(v) || isChosen(v["notice"]) || isChosen(v["cause"])) {
			v["what"] = LeftOut(what)
		}
		all := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if kind, ok := keyed[field]; ok {
				all[d.Word(kind, name)] = d.walk(name, v[name])
				continue
			}
			all[d.Text(name)] = d.walk(name, v[name])
		}
		return all
	}
	return v
}

// isChosen reports whether v is a notice whose words may be those of a program.
func isChosen(v any) bool {
	notice, _ := v.(map[string]any)
	code, _ := notice["code"].(string)
	return slices.Contains(chosen, code)
}

// LeftOut says how long a text is that is left out.
func LeftOut(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("(left out: %d bytes)", len(text))
}

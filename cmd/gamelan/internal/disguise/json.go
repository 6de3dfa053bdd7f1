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
var keyed = map[string]string{"untaken": "topic"}

// holders are fields that can hold a name that people choose, and nothing else in the same words.
var holders = []string{"network", "networks", "name", "names", "set"}

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
		if slices.Contains(holders, field) {
			if by, ok := d.named(v); ok {
				return by
			}
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
		d.learn(field, v)
		if _, ok := v["what"].(string); ok && (d.isChosen(v) || d.isChosen(v["notice"]) || d.isChosen(v["cause"])) {
			d.leaveOut(v)
		}
		all := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			key := name
			if kind, ok := keyed[field]; ok {
				key = d.Word(kind, name)
			} else if !d.fields[name] {
				key = d.Text(name)
			}
			for n, of := 2, key; ; n++ {
				if _, taken := all[key]; !taken {
					break
				}
				key = fmt.Sprintf("%s (%d)", of, n)
			}
			all[key] = d.walk(name, v[name])
		}
		return all
	}
	return v
}

// learn takes the names that people have chosen from where they are known to stand.
func (d *Disguise) learn(field string, v map[string]any) {
	switch field {
	case "seed_names":
		names, _ := v["names"].([]any)
		for _, name := range names {
			if name, ok := name.(string); ok {
				d.Host(name)
			}
		}
	case "private":
		if name, ok := v["name"].(string); ok {
			d.Name("network", name)
		}
	case "untaken":
		for topic := range v {
			d.Name("topic", topic)
		}
	}
}

// leaveOut leaves out the words of a program in a notice, or in what has one.
func (d *Disguise) leaveOut(v map[string]any) {
	for _, field := range []string{"what", "step"} {
		if text, ok := v[field].(string); ok && (field == "what" || d.isForeign(v)) {
			v[field] = LeftOut(text)
		}
	}
	if _, ok := v["args"]; ok && d.isForeign(v) {
		v["args"] = "(left out)"
	}
}

// isChosen reports whether v is a notice or an event whose words may be those of a program.
func (d *Disguise) isChosen(v any) bool {
	notice, _ := v.(map[string]any)
	code, _ := notice["code"].(string)
	return slices.Contains(chosen, code) || d.isForeign(notice)
}

// isForeign reports whether a program has written all of a notice, or of the notice that an event is about.
func (d *Disguise) isForeign(v map[string]any) bool {
	code, _ := v["code"].(string)
	data, _ := v["data"].(map[string]any)
	marked := v["program"] == true || data["by"] == "program"
	return marked && !d.trusts || code != "" && codes.Named(code) == nil
}

// LeftOut says how long a text is that is left out.
func LeftOut(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("(left out: %d bytes)", len(text))
}

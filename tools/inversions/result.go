package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// result is the result of one inversion.
type result struct {
	Error string   `json:",omitempty"` // it does not compile
	Tests []tested `json:",omitempty"`
}

// tested is the result of one test. Hash identifies the state of the files, Why is the line of
// the test that failed.
type tested struct {
	cited
	Hash    string
	Outcome outcome
	Why     string `json:",omitempty"`
}

// results are kept in a file, so that a run continues where the last one ended.
type results struct {
	path   string
	byName map[string]result
}

func readResults(path string) (results, error) {
	r := results{path, map[string]result{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r.byName)
}

// keep adds the tests of res, and removes tests that no longer cite the item. For an
// inversion that does not compile it keeps nothing.
func (r results) keep(name string, res result, cites []cited) {
	if res.Error != "" {
		r.byName[name] = res
		return
	}
	for _, was := range r.byName[name].Tests {
		again := slices.ContainsFunc(res.Tests, func(t tested) bool { return t.cited == was.cited })
		if !again && slices.Contains(cites, was.cited) {
			res.Tests = append(res.Tests, was)
		}
	}
	r.byName[name] = res
}

func (r results) write() error {
	data, err := json.MarshalIndent(r.byName, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(r.path, append(data, '\n'), 0o644)
}

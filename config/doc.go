// Package config holds the settings of a node, and all that belongs to a setting: its default,
// its range, its key in the file of the daemon and its explanation.
//
// The comment of a field is the explanation of its setting; everything else stands in the row of
// the setting, in the same file. [Default], [Config.Validate] and [Load] follow from the rows.
// The first paragraph of a comment, up to its default, is written for people who set the key as
// well: go generate copies it into docs_generated.go, with keys in the place of names of fields.
package config

//go:generate go test -run TestDocs -update .

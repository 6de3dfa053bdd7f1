package config

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// File are the settings that a program reads from the file of the daemon.
type File struct {
	Config Config
	Inbox  InboxConfig // for a program that has a durable inbox
	Path   string      // the file that was read, empty for none
	Notes  []string    // sentences about variables that were passed over

	// Rest are the sections of the file that are not of a node, such as those of the program, as TOML
	// decodes them.
	Rest map[string]any
}

// Load reads the settings of a node as the daemon does: from the first file of paths that exists, and
// from variables such as GAMELAN_MUX_WINDOW, which come before the file; environ is as os.Environ
// returns it. docs/configuration.md lists the settings. An unknown key or variable, and a wrong value,
// are errors. The error has a line for each thing that is wrong, with its place, what was expected
// and an example.
func Load(paths, environ []string) (File, error) {
	table := Table(func(f *File) *Config { return &f.Config }, func(f *File) *InboxConfig { return &f.Inbox })
	table.Rest = true
	l := settings.New(table, File{Config: Config{DHT: new(DHTConfig)}})
	l.Load(settings.Sources{Files: paths, Environ: environ}, func(f *File) error {
		if f.Config.NoDHT {
			f.Config.DHT = nil
		}
		return f.Config.Validate()
	})
	f := l.Config
	f.Path, f.Notes, f.Rest = l.File, l.Notes, l.Rest
	if len(l.Problems) > 0 {
		return f, errors.Join(ErrConfig, settings.Problems(l.Problems))
	}
	return f, nil
}

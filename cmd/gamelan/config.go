package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

type configCmd struct {
	Init    configInitCmd    `cmd:"" help:"Write a commented file with every setting and its default."`
	Check   configCheckCmd   `cmd:"" help:"List everything that is wrong in a file; without one, in the file and the variables that a node would use."`
	Show    configShowCmd    `cmd:"" help:"Show the value of every setting, and where it comes from."`
	Explain configExplainCmd `cmd:"" help:"Explain a setting and its possible values."`
}

type configInitCmd struct {
	File string `arg:"" optional:"" help:"Where to write it; - is standard output (default: that of --config, else gamelan/gamelan.toml in ~/.config, or in the directory that XDG has for it)."`
}

func (c *configInitCmd) Run(a *app) error {
	path := c.File
	if path == "" {
		path = a.sources.Files[0]
	}
	if path == "-" {
		_, err := fmt.Fprint(a.Out, daemonconfig.Table.File())
		return err
	}
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = writeFile(path, daemonconfig.Table.File())
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return failure.New("config", fmt.Sprintf("check it with %q, or choose another file", "gamelan config check "+nodedir.Quote(path)), "there is a file %s already", path)
	case err != nil:
		return failure.New("config", "choose another file with \"gamelan config init FILE\"", "%s cannot be written: %s", path, failure.Reason(err))
	}
	if a.JSON {
		return a.PrintJSON(struct {
			File string `json:"file"`
		}{path})
	}
	_, err = fmt.Fprintf(a.Out, "Wrote %s.\nNext: change it, then gamelan config check %s\n", path, nodedir.Quote(path))
	return err
}

// writeFile writes a file that must not exist.
func writeFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

type configCheckCmd struct {
	File string `arg:"" optional:"" help:"The file to check, alone."`
}

// checkedJSON is the output of config check with --json.
type checkedJSON struct {
	File     string                  `json:"file"`
	OK       bool                    `json:"ok"`
	Problems []*daemonconfig.Problem `json:"problems"`
}

// Run prints a line for each problem. The exit code is then 2, the same as that of a node
// started with these settings.
func (c *configCheckCmd) Run(a *app) error {
	var l *daemonconfig.Loaded
	if c.File != "" {
		l = daemonconfig.LoadFile(c.File)
	} else {
		l = a.load(nil)
		for _, n := range l.Notes {
			a.Note("%s", n)
		}
	}
	if err := printChecked(a, l); err != nil {
		return err
	}
	if len(l.Problems) > 0 {
		return errWrongSettings
	}
	return nil
}

func printChecked(a *app, l *daemonconfig.Loaded) error {
	if a.JSON {
		return a.PrintJSON(checkedJSON{l.File, len(l.Problems) == 0, append([]*daemonconfig.Problem{}, l.Problems...)})
	}
	var err error
	switch {
	case len(l.Problems) > 0:
		for _, p := range l.Problems {
			_, err = fmt.Fprintln(a.Out, p)
		}
	case l.File == "":
		err = a.Say(fmt.Sprintf("Nothing is wrong. There is no file; it would be one of %s.", strings.Join(a.sources.Files, ", ")))
	default:
		err = a.Say("Nothing is wrong with " + l.File + ".")
	}
	return err
}

type configShowCmd struct {
	Running bool `help:"Ask the running node for the values that it uses."`
	kong.Plugins
}

// Help returns the text of gamelan config show --help below the flags.
func (*configShowCmd) Help() string {
	return "The flags of gamelan node can be given to see what they would change."
}

func (c *configShowCmd) Run(a *app) error {
	flags := settingFlags(c.Plugins)
	l := a.load(flags)
	if !c.Running {
		for _, n := range l.Notes {
			a.Note("%s", n)
		}
		if len(l.Problems) > 0 {
			return daemonconfig.Problems(l.Problems)
		}
		return printSettings(a, daemon.Settings(l, nil))
	}
	if len(flags) > 0 {
		return failure.Usage("leave --running out to see what they would change", "a running node takes no flags")
	}
	if err := a.locate(l); err != nil {
		return err
	}
	settings, err := a.client().Settings(a.ctx)
	if err != nil {
		return err
	}
	return printSettings(a, settings)
}

// printSettings writes a table for people, one object a line for programs.
func printSettings(a *app, settings []models.Setting) error {
	rows := [][]string{{"SETTING", "VALUE", "FROM"}}
	for _, s := range settings {
		if a.JSON {
			if err := a.PrintJSON(s); err != nil {
				return err
			}
		}
		from := s.From
		if s.Waiting {
			from += ", has changed and takes a restart"
		}
		rows = append(rows, []string{s.Key, s.Text, from})
	}
	if a.JSON {
		return nil
	}
	return a.Table(rows)
}

type configExplainCmd struct {
	Key string `arg:"" help:"The setting, as mux.window; its variable or flag, or a section, do as well."`
}

// Run explains the setting, or each one of a section.
func (c *configExplainCmd) Run(a *app) error {
	found := daemonconfig.Table.Lookup(c.Key)
	if len(found) == 0 {
		hint := "gamelan config show lists them"
		if near := daemonconfig.Table.About(c.Key); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
		}
		return failure.Usage(hint, "there is no setting %q", c.Key)
	}
	l := a.load(nil)
	for i, s := range found {
		if err := explain(a, l.Value(s), s, i > 0); err != nil {
			return err
		}
	}
	return nil
}

// explain writes the explanation of one setting, after an empty line if it is not the
// first.
func explain(a *app, v settings.Value, s *daemonconfig.Setting, more bool) error {
	if a.JSON {
		return a.PrintJSON(struct {
			settings.Explanation
			Value any    `json:"value"`
			From  string `json:"from"`
		}{s.Facts(), v.Value, v.Origin.String()})
	}
	between := ""
	if more {
		between = "\n"
	}
	_, err := fmt.Fprintf(a.Out, "%s%s  %-9s %s (%s)\n", between, s.Explain(), "now", v.Text(), v.Origin)
	return err
}

// withoutDashes turns the flag in "config explain --listen" into a word: it is no flag of
// this verb but the setting to explain.
func withoutDashes(args []string) []string {
	for i := 2; i < len(args); i++ {
		if args[i-2] == "config" && args[i-1] == "explain" && strings.HasPrefix(args[i], "--") && args[i] != "--data-dir" && len(daemonconfig.Table.Lookup(args[i])) > 0 {
			args = slices.Clone(args)
			args[i] = strings.TrimLeft(args[i], "-")
		}
	}
	return args
}

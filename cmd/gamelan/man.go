package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
)

type manCmd struct {
	Page string `arg:"" optional:"" enum:"gamelan,gamelan.toml" default:"gamelan" help:"gamelan for the commands, gamelan.toml for the settings."`
	Dir  string `help:"Write all pages into this directory, as gamelan.1 and gamelan.toml.5." placeholder:"DIR"`
}

func (c *manCmd) Run(a *app) error {
	pages := map[string]string{"gamelan": commandPage(verbs(a.parser)), "gamelan.toml": settingsPage()}
	if c.Dir == "" {
		_, err := fmt.Fprint(a.Out, pages[c.Page])
		return err
	}
	for page, number := range map[string]string{"gamelan": ".1", "gamelan.toml": ".5"} {
		path := filepath.Join(c.Dir, page+number)
		err := os.WriteFile(path, []byte(pages[page]), 0o644)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return failure.New("man", "make it first, or choose another one with --dir", "there is no directory %s", c.Dir)
		case err != nil:
			return failure.New("man", "choose another directory with --dir", "%s cannot be written: %s", path, failure.Reason(err))
		}
	}
	return nil
}

// roff escapes text for a manual page.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "…", "...").Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

// page is a manual page that is being written.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(name string) { p.line(".SH %s", name) }

func (p *page) text(s string) { p.line("%s", roff(s)) }

// item writes a paragraph with a tag.
func (p *page) item(tag, text string) {
	p.line(".TP\n.B %s", roff(tag))
	p.text(text)
}

func newPage(name, number, about string) *page {
	p := &page{}
	p.line(`.TH %s %s "" "gamelan %s"`, roff(strings.ToUpper(name)), number, roff(gamelan.Version))
	p.section("NAME")
	p.line(`%s \- %s`, roff(name), roff(about))
	return p
}

func commandPage(all []verb) string {
	p := newPage("gamelan", "1", "peer-to-peer messages between supervised actors")
	p.section("SYNOPSIS")
	p.line(".B gamelan")
	p.text("COMMAND [FLAGS] [ARGUMENTS]")
	p.section("DESCRIPTION")
	p.text("gamelan node runs a node; the other commands reach it over the Unix socket in its data directory.")
	p.section("OPTIONS")
	p.flags(all[0])
	p.section("COMMANDS")
	for _, v := range all[1:] {
		p.line(".SS %s", roff(v.synopsis()))
		p.text(v.node.Help)
		if h, ok := reflect.TypeAssert[kong.HelpProvider](v.node.Target.Addr()); ok {
			for text := range strings.SplitSeq(h.Help(), "\n\n") {
				p.line(".PP")
				p.text(text)
			}
		}
		for _, arg := range v.node.Positional {
			p.item(arg.Summary(), shown(arg))
		}
		p.flags(v)
		p.examples(v)
	}
	p.section("SIGNALS")
	p.text(daemon.SignalsHelp)
	p.section("SERVICE MANAGER")
	p.text("With NOTIFY_SOCKET in the environment, which systemd sets for Type=notify and Type=notify-reload, the node reports when it is ready, reloading and stopping, and its state in words. " +
		"With WATCHDOG_USEC it also notifies the watchdog, until the actor that manages its connections no longer answers.")
	p.section("EXIT STATUS")
	p.item("0", "All went well.")
	p.item("1", "It failed.")
	p.item("2", "The command line or a setting was wrong.")
	p.item("3", "No node could be reached.")
	p.section("ENVIRONMENT")
	p.item("GAMELAN_CONFIG", "The configuration file, as with --config.")
	p.item("GAMELAN_NODE, GAMELAN_TOKEN_FILE", "Another node to ask, as with --node and --token-file.")
	p.item("GAMELAN_WAIT", "How long to wait for a node that is just starting, as with --wait.")
	p.item("GAMELAN_<SECTION>_<KEY>", "A setting; see gamelan.toml(5).")
	p.item("NO_COLOR", "No colours, even on a terminal.")
	p.section("FILES")
	p.item("gamelan.toml", "The settings; see gamelan.toml(5).")
	p.item("identity.json", "In the data directory: the key of the node. Only its owner may read it (mode 0600).")
	p.item("gamelan.sock, token", "In the data directory: how the other commands reach the running node.")
	p.item("token.read, inspect.pem", "In the data directory: the token of readers over TCP, and the certificate that the node made for inspect.listen.")
	p.section("EXAMPLES")
	p.examples(all[0])
	p.section("SEE ALSO")
	p.line(".BR gamelan.toml (5)")
	return p.String()
}

// examples writes the examples of a verb, each as a paragraph.
func (p *page) examples(v verb) {
	for _, x := range examples[v.path] {
		p.item(x.line, "Example: "+x.about+".")
	}
}

// synopsis returns a verb with its arguments.
func (v verb) synopsis() string {
	text := v.path
	for _, arg := range v.node.Positional {
		text += " " + arg.Summary()
	}
	return text
}

func (p *page) flags(v verb) {
	for _, f := range v.flags() {
		tag := "--" + f.Name
		if takesValue(f) {
			tag += "=" + f.FormatPlaceHolder()
		}
		p.item(tag, shown(f.Value))
	}
}

func settingsPage() string {
	p := newPage("gamelan.toml", "5", "the settings of gamelan")
	p.section("DESCRIPTION")
	p.text("A TOML file with sections, read strictly: an unknown or wrong setting is an error with its line. The file is that of --config or GAMELAN_CONFIG, else the first that exists of " +
		configFilesText + ". A flag comes before a variable, a variable before the file. Entries of a list are separated by commas in a variable.")
	section := "-"
	for _, s := range daemonconfig.Settings {
		if s.Section() != section {
			section = s.Section()
			name := "SETTINGS ABOVE ALL SECTIONS"
			if section != "" {
				name = `\[lB]` + section + `\[rB]`
			}
			p.section(name)
		}
		text := s.Doc + " Default: " + s.Default() + "."
		if r := s.Range(); r != "" {
			text += " Range: " + r + "."
		}
		if s.Reload {
			text += " A change is taken over on HUP."
		}
		p.item(s.Name()+" = "+s.Example, text+" Also "+s.Variable()+" and --"+s.FlagName()+".")
	}
	p.section("SEE ALSO")
	p.line(".BR gamelan (1)")
	return p.String()
}

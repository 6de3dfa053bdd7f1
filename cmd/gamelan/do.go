package main

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type showCmd struct {
	Section string `arg:"" optional:"" help:"Name of the section, such as kad; without it the names of all. That of a part which a program adds to its node is possible, too."`
}

// Help returns the text of gamelan show --help below the flags.
func (*showCmd) Help() string {
	return "Most sections have a command of their own, which shows them better: gamelan status, gamelan dht and others."
}

func (c *showCmd) Run(a *app) error {
	if c.Section == "" {
		names, err := a.client().Sections(a.ctx)
		if err != nil {
			return err
		}
		return a.each(names)
	}
	var v json.RawMessage
	var figures []models.Figure
	var err error
	if a.JSON {
		err = a.client().Section(a.ctx, c.Section, &v)
	} else {
		figures, err = a.client().Figures(a.ctx, c.Section)
	}
	switch {
	case client.CodeOf(err) == inspect.CodeNotFound:
		names, unknown := a.client().Sections(a.ctx)
		if unknown != nil {
			return unknown
		}
		return failure.New("not_found", "it has "+strings.Join(names, ", "), "the node has no section %q", c.Section)
	case err != nil:
		return err
	case a.JSON:
		return a.PrintJSON(v)
	}
	return render.Section(a.Output, figures, time.Now())
}

type doCmd struct {
	Section string   `arg:"" optional:"" help:"Name of a section of the part; without it everything that can be done."`
	Verb    string   `arg:"" optional:"" help:"What the part is to do; without it what there is."`
	Params  []string `arg:"" optional:"" name:"name=value" help:"Parameters of the verb."`
	Input   string   `placeholder:"FILE" help:"File with the body of the request, for verbs that take one; - is standard input."`
}

// Help returns the text of gamelan do --help below the flags.
func (*doCmd) Help() string {
	return "Parts of the node's own have better commands, such as gamelan kad put. A program that runs a node takes commands if it calls control.Serve."
}

func (c *doCmd) Run(a *app) error {
	switch {
	case c.Verb == "" && c.Input != "":
		return failure.Usage("name a section and a verb", "--input is for a verb")
	case c.Verb == "":
		return c.list(a)
	case c.Section == "":
		return failure.Usage("name a section", "the verb %q is of no section", c.Verb)
	}
	params := make(map[string][]string)
	for _, p := range c.Params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return failure.Usage("write it as NAME=VALUE", "%q is no parameter", p)
		}
		params[name] = append(params[name], value)
	}
	var body io.Reader
	switch c.Input {
	case "":
	case "-":
		body = os.Stdin
	default:
		f, err := os.Open(c.Input)
		if err != nil {
			return failure.New("file", "check its name", "the file cannot be read").Because(err)
		}
		defer f.Close()
		body = f
	}
	err := a.client().DoEach(a.ctx, c.Section, c.Verb, params, body, func(v json.RawMessage) error { return render.Value(a.Output, v) })
	if client.CodeOf(err) != inspect.CodeNotFound {
		return err
	}
	all, unlisted := a.client().Verbs(a.ctx)
	if unlisted != nil {
		return err
	}
	verbs, unknown := c.of(all)
	if unknown != nil {
		return unknown
	}
	var names []string
	for _, v := range verbs {
		if v.Verb == c.Verb {
			return err // it is what the verb has not found
		}
		names = append(names, v.Verb)
	}
	return failure.New("not_found", "it has "+strings.Join(names, ", "), "%s has no verb %q", c.Section, c.Verb)
}

// verbsOfProgram says where the verbs of a node come from that has none.
const verbsOfProgram = "its program adds them to the actions of control.Serve"

// of returns the verbs of the section, of which there is one at least, or all if none is named.
func (c *doCmd) of(all []inspect.VerbInfo) (of []inspect.VerbInfo, err error) {
	var sections []string
	for _, v := range all {
		if c.Section == "" || v.Section == c.Section {
			of = append(of, v)
		}
		if !slices.Contains(sections, v.Section) {
			sections = append(sections, v.Section)
		}
	}
	if len(of) > 0 || c.Section == "" {
		return of, nil
	}
	if len(all) == 0 {
		return nil, failure.New("not_found", verbsOfProgram, "no part of this node has verbs")
	}
	return nil, failure.New("not_found", "some have "+strings.Join(sections, ", "), "%q has no verbs on this node", c.Section)
}

// list prints the verbs with their parameters.
func (c *doCmd) list(a *app) error {
	all, err := a.client().Verbs(a.ctx)
	if client.CodeOf(err) == inspect.CodeNotFound {
		return failure.New("not_found", "name a section and a verb, or update the node", "this node is older than the command and does not list its verbs")
	}
	if err != nil {
		return err
	}
	verbs, err := c.of(all)
	switch {
	case err != nil:
		return err
	case a.JSON:
		return render.Each(a.Output, verbs)
	case len(verbs) == 0:
		a.Note("no part of this node has verbs; %s", verbsOfProgram)
		return nil
	}
	var lines []string
	for _, v := range verbs {
		line := v.Section + " " + v.Verb
		for _, p := range v.Params {
			line += " " + p + "=VALUE"
		}
		if v.Body > 0 {
			line += " --input FILE"
		}
		lines = append(lines, line)
	}
	return a.each(lines)
}

// each prints a line for each text.
func (a *app) each(texts []string) error {
	if a.JSON {
		return render.Each(a.Output, texts)
	}
	_, err := io.WriteString(a.Out, strings.Join(texts, "\n")+"\n")
	return err
}

package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
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
	Section string   `arg:"" help:"Name of a section of the part."`
	Verb    string   `arg:"" optional:"" help:"What the part is to do; without it the node says what there is."`
	Params  []string `arg:"" optional:"" name:"name=value" help:"Parameters of the verb."`
	Input   string   `placeholder:"FILE" help:"File with the body of the request, for verbs that take one; - is standard input."`
}

// Help returns the text of gamelan do --help below the flags.
func (*doCmd) Help() string {
	return "Without a verb, or with an unknown one or an unknown parameter, the node says what there is. Parts of the node's own have better commands, such as gamelan kad put. " +
		"A program that runs a node takes commands if it calls control.Serve."
}

func (c *doCmd) Run(a *app) error {
	if c.Verb == "" {
		c.Verb = noVerb
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
	if e, ok := errors.AsType[*inspect.Error](err); ok && e.Code == inspect.CodeNotFound {
		if _, verbs, ok := strings.Cut(e.Hint, "verbs: "); ok {
			if c.Verb == noVerb {
				return failure.Usage("name one of "+verbs, "%s is to do something", c.Section)
			}
			return failure.New("not_found", "it has "+verbs, "%s has no verb %q", c.Section, c.Verb)
		}
		var sections []string
		for _, m := range sectionWithVerbs.FindAllStringSubmatch(e.Hint, -1) {
			sections = append(sections, m[1])
		}
		return failure.New("not_found", "some have "+strings.Join(sections, ", "), "%q has no verbs on this node", c.Section)
	}
	return err
}

// noVerb stands for a verb that was not given; no part has one of this name.
const noVerb = "-"

// each prints a line for each text.
func (a *app) each(texts []string) error {
	if a.JSON {
		return a.PrintJSON(texts)
	}
	_, err := io.WriteString(a.Out, strings.Join(texts, "\n")+"\n")
	return err
}

// sectionWithVerbs finds, in what a node says, the names of sections that have verbs.
var sectionWithVerbs = regexp.MustCompile(`/v1/([^/ ]+)/\{verb\}`)

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type peersExportCmd struct {
	File string `arg:"" optional:"" default:"-" help:"Where to write it, in the place of what is there; - is standard output."`
}

func (c *peersExportCmd) Run(a *app) error {
	client := a.client()
	res, err := client.get(a.ctx, "/v1/peers:export")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	in := &watched{r: res.Body}
	if c.File == "-" {
		_, err = io.Copy(a.out, in)
	} else {
		err = replaceFile(c.File, in)
	}
	switch {
	case in.err != nil:
		return client.gone(a.ctx, in.err)
	case err != nil && c.File != "-":
		return failed("file", "choose another one", "%s cannot be written: %s", c.File, reason(err))
	case err != nil || c.File == "-":
		return err
	case a.json:
		return a.printJSON(struct {
			File string `json:"file"`
		}{c.File})
	}
	_, err = fmt.Fprintf(a.out, "Wrote %s.\n", c.File)
	return err
}

// watched remembers the error that reading ended with, to tell it from one of
// writing.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

type peersImportCmd struct {
	File string `arg:"" help:"What gamelan peers export has written; - is standard input."`
}

func (c *peersImportCmd) Run(a *app) error {
	in := a.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return failed("file", "give what gamelan peers export has written", "%s cannot be read: %s", c.File, reason(err))
		}
		defer f.Close()
		in = f
	}
	var done importedJSON
	err := a.client().post(a.ctx, "/v1/peers:import", in, &done)
	if f := (*failure)(nil); errors.As(err, &f) && f.kind == "bad_query" {
		f.message = c.File + ": " + f.message
	}
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(done)
	}
	_, err = fmt.Fprintf(a.out, "%s added, %d known already%s\n", inspect.Count(uint64(done.Added), "peer"), done.Merged, skippedText(done.Skipped))
	return err
}

func skippedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d left out: this node itself, or mere bans of allowed peers", n)
}

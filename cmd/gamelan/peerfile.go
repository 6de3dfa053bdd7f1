package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/replace"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

type peersExportCmd struct {
	File string `arg:"" optional:"" default:"-" help:"File to write or overwrite; - is standard output."`
}

func (c *peersExportCmd) Run(a *app) error {
	err := a.client().ExportPeers(a.ctx, func(r io.Reader) error {
		if c.File == "-" {
			_, err := io.Copy(a.Out, r)
			return err
		}
		if err := replace.File(c.File, r); err != nil {
			return failure.New("file", "choose another one", "%s cannot be written: %s", c.File, failure.Reason(err))
		}
		return nil
	})
	switch {
	case err != nil || c.File == "-":
		return err
	case a.JSON:
		return a.PrintJSON(struct {
			File string `json:"file"`
		}{c.File})
	}
	_, err = fmt.Fprintf(a.Out, "Wrote %s.\n", c.File)
	return err
}

type peersImportCmd struct {
	File string `arg:"" help:"File that gamelan peers export has written; - is standard input."`
}

func (c *peersImportCmd) Run(a *app) error {
	in := a.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return failure.New("file", "give a file that gamelan peers export has written", "%s cannot be read: %s", c.File, failure.Reason(err))
		}
		defer f.Close()
		in = f
	}
	all := bufio.NewReader(in)
	if begin, _ := all.Peek(2); settings.UTF16(begin) {
		return failure.New("file", "write it with \"gamelan peers export FILE\", or convert it to UTF-8", "%s: %s", c.File, settings.InUTF16)
	}
	done, err := a.client().ImportPeers(a.ctx, all)
	if e, ok := errors.AsType[*inspect.Error](err); ok && e.Code == inspect.CodeBadQuery {
		e.Message = c.File + ": " + e.Message
	}
	switch {
	case err != nil:
		return err
	case a.JSON:
		return a.PrintJSON(done)
	}
	return a.Say(fmt.Sprintf("%s added, %d known already%s", inspect.Count(uint64(done.Added), "peer"), done.Merged, skippedText(done.Skipped)))
}

func skippedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d skipped: this node itself, or bans of allowed peers", n)
}

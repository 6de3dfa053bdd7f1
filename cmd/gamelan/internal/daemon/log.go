package daemon

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/loglevel"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// levelsOf returns the levels of the settings.
func levelsOf(c *daemonconfig.Config) (others slog.Level, of map[string]slog.Level) {
	of, _ = loglevel.Parse(c.LogLevels) // its row has checked it
	return c.LogLevel, of
}

// logVerbs are what can be done with the log: level sets that of all packages, and with packages those of some;
// with reset those of the settings are set before.
func (d *daemon) logVerbs() map[string]inspect.Verb {
	bad := func(err error) error {
		return &inspect.Error{Code: inspect.CodeBadQuery, Message: inspect.Escape(err.Error()), Hint: "see the levels at /v1/log"}
	}
	return map[string]inspect.Verb{"level": {Params: []string{"level", "packages", "reset"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
		var others slog.Level
		var err error
		if text := v.Get("level"); text != "" {
			if others, err = loglevel.ParseLevel(text); err != nil {
				return nil, bad(err)
			}
		}
		of, err := loglevel.Parse(v.Get("packages"))
		if err != nil {
			return nil, bad(err)
		}
		if v.Get("reset") == "true" {
			c := d.settings()
			d.levels.Set(levelsOf(&c))
		}
		if v.Get("level") != "" {
			d.levels.SetOthers(others)
		}
		if len(of) > 0 {
			d.levels.SetPackages(of)
		}
		now := d.levels.Show()
		d.logger.Warn("the level of the log was changed by hand", "level", now.Level, "packages", now.Packages)
		return now, nil
	}}}
}

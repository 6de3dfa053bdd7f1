package loglevel

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLevels: a package has its own level, others have the common one, and changes hold at once, also for loggers that exist.
func TestLevels(t *testing.T) {
	var b bytes.Buffer
	l := New(slog.LevelInfo, nil)
	log := slog.New(l.Over(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("k", "v").WithGroup("g")
	wrote := func() string { defer b.Reset(); return b.String() }
	all := func() (n int) {
		log.Debug("one", "a", 1)
		log.Info("two")
		log.Warn("three")
		return strings.Count(wrote(), "\n")
	}
	for _, c := range []struct {
		others slog.Level
		of     map[string]slog.Level
		want   int
	}{
		{slog.LevelInfo, nil, 2},
		{slog.LevelInfo, map[string]slog.Level{"loglevel": slog.LevelDebug}, 3},
		{slog.LevelDebug, map[string]slog.Level{"loglevel": slog.LevelWarn}, 1},
		{slog.LevelInfo, map[string]slog.Level{"kad": slog.LevelDebug}, 2},
		{slog.LevelError, map[string]slog.Level{"loglevel": slog.LevelError, "kad": slog.LevelDebug}, 0},
		{slog.LevelDebug, nil, 3},
	} {
		l.Set(c.others, c.of)
		if got := all(); got != c.want {
			t.Errorf("%v %v: got %d lines, want %d", c.others, c.of, got, c.want)
		}
	}
	l.Set(slog.LevelInfo, nil)
	l.SetPackages(map[string]slog.Level{"kad": slog.LevelDebug})
	l.SetPackages(map[string]slog.Level{"loglevel": slog.LevelDebug})
	l.SetOthers(slog.LevelError)
	log.Debug("x", "a", 1)
	if got := wrote(); !strings.Contains(got, "k=v g.a=1") {
		t.Errorf("got %q", got)
	}
	if got := l.Show(); got.Level != "error" || len(got.Packages) != 2 || got.Packages["kad"] != "debug" {
		t.Errorf("got %+v", got)
	}
}

// TestParse: what is written is read, and mistakes say what is possible.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{"": "", "kad=debug": "kad=debug", " users=error, kad=warn": "kad=warn,users=error"} {
		if all, err := Parse(text); err != nil || Format(all) != want {
			t.Errorf("%q: got %v, %v", text, all, err)
		}
	}
	for text, want := range map[string]string{"kad": "PACKAGE=LEVEL", "kat=debug": "dhtpart", "kad=loud": "debug, info"} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
		}
	}
}

// TestPackages: the list has the packages of this module that log, and no other.
func TestPackages(t *testing.T) {
	logs := regexp.MustCompile(`(?s)\npackage (\w+)\n.*[\w)]\.(?:Debug|Info|Warn|Error)\("`)
	found := []string{"actor"}
	err := filepath.WalkDir("../../../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"examples", "tests", "tools", "bench", "gamelantest", "testdata", ".git", "docs", "packaging"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if of := logs.FindStringSubmatch("\n" + string(b)); of != nil && !strings.HasSuffix(of[1], "test") && !slices.Contains(found, of[1]) {
			found = append(found, of[1])
		}
		return err
	})
	slices.Sort(found)
	if err != nil || !slices.Equal(found, Packages) {
		t.Errorf("got %q, %v", found, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":          "module m\n\ngo 1.26\n",
		"m.go":            "package m\n\nimport \"time\"\n\nvar now = time.Now\n",
		"m_windows.go":    "package m\n\nvar later int = \"later\"\n",
		"m_test.go":       "package m\n\nvar fits, large any = 1 << 20, 1 << 40\n",
		"m_linux_test.go": "package m\n\nvar only = now()\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for system, want := range map[string]string{
		"linux/amd64":   "",
		"windows/amd64": "m_windows.go:3:17: cannot use \"later\"",
		"linux/386":     "m_test.go:3:32: cannot use 1 << 40",
		"windows":       "no system",
		"plan8/amd64":   "plan8",
	} {
		var out strings.Builder
		err := run(&out, root, []string{system})
		if (err != nil) != (want != "") {
			t.Errorf("%s: %v\n%s", system, err, out.String())
			continue
		}
		if said := out.String(); err != nil && !strings.Contains(said+err.Error(), want) {
			t.Errorf("%s: %v\n%s, want %s", system, err, said, want)
		}
	}
}

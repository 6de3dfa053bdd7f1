package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRequirementsHaveTests reads the table of requirements in tests/onion/README.md: all 24 are there,
// and each test that it names exists.
func TestRequirementsHaveTests(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 24; i++ {
		if !strings.Contains(string(text), fmt.Sprintf("| T-%d | ", i)) {
			t.Errorf("T-%d is not in the table", i)
		}
	}
	for _, link := range regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		code, err := os.ReadFile(filepath.Join("..", link[2]))
		if err != nil || !strings.Contains(string(code), "func "+link[1]+"(") {
			t.Errorf("got no %s in %s: %v", link[1], link[2], err)
		}
	}
}

package browser

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "draw the pictures of the documentation again")

const pictures = "../../docs/page"

// TestPictures holds the pictures of the documentation against the files of the page: when one of these has
// changed, the pictures must be drawn again, with go test -run TestPictures -update.
func TestPictures(t *testing.T) {
	files, err := filepath.Glob("../../inspect/page/static/*")
	if err != nil || len(files) < 5 {
		t.Fatalf("got the files %v, %v", files, err)
	}
	sum := fnv.New64a()
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(b)
	}
	made := fmt.Sprintf("%x\n", sum.Sum64())
	if !*update {
		if had, err := os.ReadFile(filepath.Join(pictures, "drawn-of")); err != nil || string(had) != made {
			t.Errorf("the page has changed since its pictures were drawn (%v): go -C tests/browser test -run TestPictures -update", err)
		}
		return
	}
	s := opened(t, "the label is empty")
	for i, name := range []string{"alice", "bob", "carol", "dave"} {
		s.name(t, name, s.others[i].PublicKey().String())
	}
	s.name(t, "erin", s.key)
	b := chrome(t, s.ui(t))
	b.sees(t, "is stuck on int")
	for _, p := range []struct {
		name, theme, at, shows string
		do                     []chromedp.Action
	}{
		{"overview", "light", "", "is stuck on int", []chromedp.Action{chromedp.Sleep(45e9)}}, // the sparks need samples
		{"tree", "light", "tree", "extensions", []chromedp.Action{chromedp.Evaluate(`[...document.querySelectorAll('.row')].find(r => r.querySelector('.name').textContent === 'extensions').querySelector('.fold').click()`, nil), chromedp.Sleep(3e9)}},
		{"network", "dark", "network", "Neighbours by distance", nil},
		{"doctor", "light", "peer/" + s.alone.String(), "Why is it not connected?", []chromedp.Action{chromedp.Click(`//main//button[contains(., "Why is it")]`, chromedp.BySearch), chromedp.Poll("document.querySelector('main .state')?.innerText.includes('erin') && document.querySelector('.steps')", nil, chromedp.WithPollingTimeout(30e9))}},
	} {
		b.run(t, emulation.SetDeviceMetricsOverride(1280, 800, 1, false), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: p.theme}}))
		b.open(t, p.at, p.shows)
		for _, do := range p.do {
			if err := chromedp.Run(b.ctx, do); err != nil {
				t.Fatal(err)
			}
		}
		var png []byte
		b.run(t, chromedp.CaptureScreenshot(&png))
		if err := os.WriteFile(filepath.Join(pictures, p.name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.settled(t, "pictures")
	if err := os.WriteFile(filepath.Join(pictures, "drawn-of"), []byte(made), 0o644); err != nil {
		t.Fatal(err)
	}
}

// name gives a peer a name.
func (s *shop) name(t *testing.T, name, key string) {
	t.Helper()
	if out, err := exec.Command(program(t), "peers", "name", key, name, "--data-dir", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

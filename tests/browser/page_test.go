package browser

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

//go:embed testdata/axe.min.js
var axe string

// tab is a page of the browser, with what was wrong in it.
type tab struct {
	ctx  context.Context
	base string

	mu       sync.Mutex
	problems []string
}

func (b *tab) wrong(format string, a ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf(format, a...))
}

// settled fails the test for what was wrong, and forgets it.
func (b *tab) settled(t *testing.T, where string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		t.Errorf("%s: %s", where, p)
	}
	b.problems = nil
}

// chrome starts a browser, and opens what gamelan ui wrote.
func chrome(t *testing.T, at string) *tab {
	t.Helper()
	var found string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			found = p
			break
		}
	}
	if found == "" {
		t.Skip("no Chromium on the PATH")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("enable-precise-memory-info", true), chromedp.Flag("js-flags", "--expose-gc"))
	alloc, end := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &tab{ctx: ctx, base: at[:strings.Index(at[8:], "/")+8]}
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			b.wrong("an exception: %s", e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				b.wrong("the console: %s %v", e.Type, args(e.Args))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
				b.wrong("the log: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, b.base) && !strings.HasPrefix(e.Request.URL, "data:") && e.Request.URL != "about:blank" {
				b.wrong("a request to %s", e.Request.URL)
			}
		}
	})
	if err := chromedp.Run(ctx, network.Enable(), log.Enable(), runtime.Enable(), chromedp.Navigate(at), chromedp.WaitVisible(".state", chromedp.ByQuery)); err != nil {
		t.Fatal(err)
	}
	return b
}

// awaited lets a script end with a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

func args(all []*runtime.RemoteObject) (said []string) {
	for _, a := range all {
		said = append(said, string(a.Value)+a.Description)
	}
	return said
}

func (b *tab) run(t *testing.T, acts ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, acts...); err != nil {
		var seen string
		_ = chromedp.Run(b.ctx, chromedp.Text("main", &seen, chromedp.ByQuery))
		t.Fatalf("%v; the page has\n%s", err, seen)
	}
}

// open goes to a page, and waits until it shows what is there.
func (b *tab) open(t *testing.T, page, shows string) {
	t.Helper()
	b.run(t, chromedp.Evaluate(fmt.Sprintf("location.hash = %q; new Promise(r => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => r(0))), 50))", "#/"+page), nil, awaited))
	b.sees(t, shows)
}

// sees waits until the content of the page has a text.
func (b *tab) sees(t *testing.T, text string) {
	t.Helper()
	b.run(t, chromedp.Poll(fmt.Sprintf("document.querySelector('main')?.innerText.includes(%q)", text), nil, chromedp.WithPollingTimeout(25*time.Second)))
}

// click clicks on the button or link with a text.
func (b *tab) click(t *testing.T, text string) {
	t.Helper()
	b.run(t, chromedp.Click(fmt.Sprintf(`//main//*[self::button or self::a][contains(., %q)]`, text), chromedp.BySearch))
}

// menu clicks on a page's name at the left.
func (b *tab) menu(t *testing.T, name string) {
	t.Helper()
	b.run(t, chromedp.Click(fmt.Sprintf(`//nav/a[contains(., %q)]`, name), chromedp.BySearch))
}

// clean runs axe-core on what is seen.
func (b *tab) clean(t *testing.T, where string) {
	t.Helper()
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	var raw string
	b.run(t, chromedp.Evaluate(axe+";0", nil), chromedp.Evaluate(`axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then(r => JSON.stringify(r.violations))`, &raw, awaited))
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		for _, n := range v.Nodes[:min(2, len(v.Nodes))] {
			t.Errorf("%s: %s (%s): %s: %s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// pages are all pages, each with a text that it shows in the network of these tests.
func pages(s *shop) []struct{ at, shows string } {
	return []struct{ at, shows string }{
		{"", "is stuck on int"},
		{"tree", "extensions"},
		{"actor/node/extensions/cashier", "stuck"},
		{"actor/node/extensions/printer", "runtime"},
		{"peers", "connected"},
		{"peer/" + s.others[0].ID().String(), "connected"},
		{"peer/" + s.alone.String(), "Why is it not connected?"},
		{"connections", "inbound"},
		{"network", "Neighbours by distance"},
		{"messages", "confirmed"},
		{"events", "conn.opened"},
		{"doctor", "Examine"},
		{"sections", "stock"},
		{"section/stock", "jars"},
		{"section/traffic", "bytes in"},
	}
}

// TestPages opens every page in both themes and three widths: each shows what is there, nothing is wrong in
// the console, nothing is asked for elsewhere, no text of a stranger is markup, and axe-core finds nothing.
// With GAMELAN_SHOTS it writes a picture of each.
func TestPages(t *testing.T) {
	s := opened(t, hostile)
	b := chrome(t, s.ui(t))
	shots := os.Getenv("GAMELAN_SHOTS")
	b.sees(t, "is stuck on int") // after ten seconds
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 820, 390} {
			b.run(t, emulation.SetDeviceMetricsOverride(width, 900, 1, width < 500), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}))
			for _, p := range pages(s) {
				where := fmt.Sprintf("#/%s, %s, %d px", p.at, theme, width)
				if strings.Contains(p.at, "printer") {
					p.shows = "onerror"
				}
				b.open(t, p.at, p.shows)
				var wide bool
				var taken bool
				b.run(t, chromedp.Evaluate("document.documentElement.scrollWidth > innerWidth || document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth", &wide), chromedp.Evaluate("'taken' in window || document.querySelectorAll('main img, main script').length > 0", &taken))
				if wide {
					t.Errorf("%s: is wider than the window", where)
				}
				if taken {
					t.Errorf("%s: a text of a stranger is markup", where)
				}
				var off string
				b.run(t, chromedp.Evaluate("(() => { const nav = document.querySelector('nav').getBoundingClientRect(), at = document.querySelector('nav [aria-current]').getBoundingClientRect(); return at.left < nav.left - 1 || at.right > nav.right + 1 || at.bottom > nav.top + document.querySelector('nav').clientHeight ? JSON.stringify([nav, at]) : '' })()", &off))
				if off != "" {
					t.Errorf("%s: the page's own name is not all seen in the list of pages: %s", where, off)
				}
				b.clean(t, where)
				b.settled(t, where)
				if shots != "" {
					var png []byte
					b.run(t, chromedp.CaptureScreenshot(&png))
					name := strings.NewReplacer("/", "-", s.others[0].ID().String(), "other", s.alone.String(), "alone").Replace(p.at)
					if err := os.WriteFile(filepath.Join(shots, fmt.Sprintf("%s-%s-%d.png", strings.TrimSuffix("page-"+name, "-"), theme, width)), png, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// TestTasks does what a new user wants, from opening the page: which actor is stuck and on what, why a peer is
// not connected, what happened at a time, which peer sends most; and acts on an actor and a peer. The seconds
// are in the log.
func TestTasks(t *testing.T) {
	s := opened(t, hostile)
	b := chrome(t, s.ui(t))
	timed := func(task string, do func()) {
		t.Helper()
		b.run(t, chromedp.Evaluate("location.hash = '#/'", nil))
		begin := time.Now()
		do()
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("%s: took %v, want 30 s at most", task, took)
		}
		t.Logf("%-45s %.1f s", task, time.Since(begin).Seconds())
		b.settled(t, task)
	}
	b.sees(t, "is stuck on int")
	b.run(t, chromedp.Poll("/^online for \\d+ s$/.test(document.querySelector('.lead .state')?.innerText)", nil, chromedp.WithPollingTimeout(20*time.Second)))
	b.run(t, chromedp.Poll("gamelan.samples.at.length >= 8", nil, chromedp.WithPollingTimeout(25*time.Second))) // one a second
	timed("which actor is stuck, and on what?", func() {
		b.sees(t, "extensions/cashier is stuck on int")
		b.click(t, "extensions/cashier")
		b.click(t, "Show stacks")
		b.sees(t, "fails.Receive")
	})
	timed("why is a peer not connected?", func() {
		b.menu(t, "Peers")
		b.click(t, s.alone.String()[:10])
		b.sees(t, "Why is it not connected?")
		b.click(t, "Why is it not connected?")
		b.sees(t, "firewall")
		b.open(t, "doctor/nobody", "Nothing was examined yet") // what was found of another is not shown
	})
	timed("what happened then?", func() {
		b.open(t, "events", "conn.opened")
		b.run(t, chromedp.Focus(".strip", chromedp.ByQuery), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.Enter)) // left, Enter
		b.sees(t, "within ten minutes of")
	})
	timed("which peer sends most?", func() {
		b.menu(t, "Connections")
		b.sees(t, "received")
		b.run(t, chromedp.SetValue("select", "received", chromedp.ByQuery), chromedp.Evaluate("document.querySelector('select').dispatchEvent(new Event('change'))", nil))
		b.run(t, chromedp.Poll(fmt.Sprintf("document.querySelector('tbody tr a')?.textContent === %q", s.others[0].ID().String()[:10]), nil, chromedp.WithPollingTimeout(20*time.Second)))
	})
	timed("what does an actor handle now?", func() {
		b.open(t, "actor/node/extensions/handler", "running")
		b.click(t, "Follow its messages")
		b.run(t, chromedp.Poll("document.querySelector('[aria-label=Trace] tbody tr')?.innerText.includes('handled')", nil, chromedp.WithPollingTimeout(20*time.Second)))
	})
	timed("start an actor again", func() {
		b.run(t, chromedp.Evaluate("window.confirm = () => true", nil))
		b.open(t, "actor/node/extensions/printer", "when it fails")
		b.click(t, "Restart")
		b.sees(t, "It has started again.")
	})
	timed("disconnect from a peer", func() {
		b.open(t, "peer/"+s.others[1].ID().String(), "connected")
		b.click(t, "Disconnect")
		b.sees(t, "Disconnected.")
	})
}

// TestBeforeTheFirstAnswer: a page that the node has not answered yet says so, and claims nothing.
func TestBeforeTheFirstAnswer(t *testing.T) {
	s := opened(t, "words")
	b := chrome(t, s.ui(t))
	b.sees(t, "is stuck on int")
	const mute = "window.fetch = () => new Promise(() => {})"
	claims := regexp.MustCompile(`\b(0 (in|out|peers|events|messages)|No|None|no|none|nothing|Nothing|undefined|null)\b`)
	looks := func(at, in string) {
		t.Helper()
		b.open(t, at, "The page asks the node …")
		var seen string
		b.run(t, chromedp.Text(in, &seen, chromedp.ByQuery))
		if claim := claims.FindString(seen); claim != "" {
			t.Errorf("page %q claims %q:\n%s", at, claim, seen)
		}
	}
	pages := []string{"peers", "connections", "network", "messages", "sections", "doctor", "actor/node", "peer/" + s.alone.String(), "message/1", "section/dht", "events?at=2026-01-02T03:04:05Z"}
	b.run(t, chromedp.Evaluate(mute, nil))
	for _, p := range pages {
		looks(p, "main") // the time line still has events
	}
	b.run(t, chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(mute).Do(ctx)
		return err
	}), chromedp.Reload(), chromedp.WaitVisible("main", chromedp.ByQuery))
	for _, p := range append(pages, "", "events") {
		looks(p, "#app")
	}
}

// TestOverviewOfADegradedNode: what degrades a node needs attention, and nothing else is said.
func TestOverviewOfADegradedNode(t *testing.T) {
	s := lone(t)
	b := chrome(t, s.ui(t))
	s.Drain()
	b.sees(t, "the node makes no new connections")
	var seen string
	b.run(t, chromedp.Text("main", &seen, chromedp.ByQuery))
	if strings.Contains(seen, "All is well") {
		t.Errorf("got %s of a node that drains", seen)
	}
}

// TestSearchAmongManyPeers: a search finds a peer wherever it is in the list.
func TestSearchAmongManyPeers(t *testing.T) {
	s := lone(t)
	var last identity.NodeID
	for i := range 1200 {
		key := gamelantest.Secret(i + 1).PublicKey()
		if err := s.Peers().Add(t.Context(), peerstore.Peer{Key: key}); err != nil {
			t.Fatal(err)
		}
		if id := key.NodeID(); bytes.Compare(id[:], last[:]) > 0 {
			last = id
		}
	}
	b := chrome(t, s.ui(t))
	b.open(t, "peers", "1,200 peers")
	b.run(t, chromedp.SendKeys("main input", last.String(), chromedp.ByQuery))
	b.run(t, chromedp.Poll(fmt.Sprintf("document.querySelector('tbody tr a')?.textContent === %q", last.String()[:10]), nil, chromedp.WithPollingTimeout(20*time.Second)))
	b.run(t, chromedp.SendKeys("main input", "nobody", chromedp.ByQuery))
	b.sees(t, "None of them fits the search.")
}

// TestWays: one page after the other, strange addresses, the keyboard, and the link over the navigation.
func TestWays(t *testing.T) {
	s := opened(t, hostile)
	b := chrome(t, s.ui(t))
	rows := func(want string) {
		t.Helper()
		b.run(t, chromedp.Poll("document.querySelectorAll('.row').length "+want, nil, chromedp.WithPollingTimeout(20*time.Second)))
	}
	for _, first := range []string{"events", "actor/node/extensions/cashier", "peers", "doctor"} { // each leaves other elements
		b.open(t, first, "")
		b.open(t, "tree", "extensions")
		rows("> 10")
		b.run(t, chromedp.Focus(".tree", chromedp.ByQuery), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
		b.run(t, chromedp.Poll("document.querySelector('.row.chosen')", nil, chromedp.WithPollingTimeout(5*time.Second)))
	}
	for _, at := range []string{"peer/50%", "constructor", "events?at=x", "message/%zz", "actor/nobody", "doctor/" + s.alone.String(), "section/none"} {
		b.run(t, chromedp.Evaluate(fmt.Sprintf("location.hash = %q; new Promise(r => setTimeout(() => r(0), 300))", "#/"+at), nil, awaited))
		b.run(t, chromedp.WaitVisible("h1", chromedp.ByQuery))
		b.mu.Lock()
		for _, p := range b.problems {
			if !strings.Contains(p, "status of 404") { // what is asked for is not there
				t.Errorf("%s: %s", at, p)
			}
		}
		b.problems = nil
		b.mu.Unlock()
	}
	for at, want := range map[string]string{"peer/nobody": "see the page Peers", "actor/nobody": "see the page Tree", "nowhere": "There is no page nowhere.", "connections/7": "There is no page connections/7.", "peer/": "search: a name"} {
		b.open(t, at, "")
		b.run(t, chromedp.Poll(fmt.Sprintf("(document.querySelector('main')?.innerText + document.querySelector('main input')?.placeholder).includes(%q)", want), nil, chromedp.WithPollingTimeout(20*time.Second)))
		b.run(t, chromedp.Poll("!document.querySelector('main')?.innerText.includes('The page asks')", nil, chromedp.WithPollingTimeout(20*time.Second))) // the answer has come
	}
	b.mu.Lock()
	b.problems = nil // what is asked for is not there
	b.mu.Unlock()
	var asked bool
	b.open(t, "doctor/"+s.alone.String(), "Examine")
	b.run(t, chromedp.Sleep(time.Second), chromedp.Evaluate("document.querySelectorAll('.steps li').length > 0", &asked))
	if asked {
		t.Error("an address alone makes the node examine a peer")
	}
	b.open(t, "peers", "connected")
	var at string
	b.run(t, chromedp.Focus(".skip", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter), chromedp.Evaluate("location.hash + ' ' + document.activeElement.id", &at))
	if at != "#/peers main" {
		t.Errorf("the link to the content leads to %q", at)
	}
	b.run(t, chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.sees(t, "Who it is")
	b.run(t, chromedp.KeyEvent("7"))
	b.sees(t, "events of the last hour")
	b.open(t, "messages", "Sent over the DHT")
	b.run(t, chromedp.SendKeys("main input[type=search]", "50%/x", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	b.sees(t, "has not sent a message with this tag")
	b.settled(t, "ways")
}

// TestReader: who may only look sees everything, and no button that would change something. When the command
// that serves the page has ended, the page says that it is not answered.
func TestReader(t *testing.T) {
	s := opened(t, hostile)
	ui := s.start(t, "--read-only")
	b := chrome(t, ui.at)
	b.sees(t, "is stuck on int")
	for _, p := range pages(s) {
		if p.at == "doctor" {
			p.shows = "admin scope"
		} else if strings.HasPrefix(p.at, "peer/"+s.alone.String()) {
			p.shows = "Addresses"
		} else if strings.Contains(p.at, "printer") {
			p.shows = "onerror"
		}
		b.open(t, p.at, p.shows)
		var buttons []string
		b.run(t, chromedp.Evaluate("[...document.querySelectorAll('main button')].map(b => b.textContent)", &buttons))
		for _, name := range buttons {
			if name != "Show stacks" && p.at != "connections" {
				t.Errorf("%s: a reader has the button %s", p.at, name)
			}
		}
	}
	b.open(t, "actor/node/extensions/cashier", "stuck")
	b.click(t, "Show stacks")
	b.sees(t, "fails.Receive")
	b.settled(t, "reading")
	ui.stop()
	b.sees(t, "the node does not answer")
	b.run(t, chromedp.Poll("document.querySelector('header')?.innerText.includes('as of')", nil, chromedp.WithPollingTimeout(20*time.Second)))
}

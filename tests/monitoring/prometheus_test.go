package monitoring

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// program is a process that ends with the test.
type program struct {
	*exec.Cmd
	errs *output
}

// output keeps what a process writes.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(b)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.String()
}

func newProgram(t *testing.T, name string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{exec.CommandContext(ctx, name, args...), new(output)}
	p.Stderr = p.errs
	t.Cleanup(func() {
		cancel()
		if p.Process != nil {
			p.Wait()
		}
		if t.Failed() {
			t.Logf("%s wrote: %s", filepath.Base(name), p.errs.text())
		}
	})
	return p
}

// daemon is a running "gamelan node".
type daemon struct {
	*program
	dir, seed, metrics string // metrics is HOST:PORT
}

// startNode starts a node with metrics on a free port.
func startNode(t *testing.T, binary string, args ...string) *daemon {
	t.Helper()
	d := &daemon{dir: t.TempDir()}
	d.program = newProgram(t, binary, append([]string{"node", "--data-dir", d.dir, "--listen", "/ip4/127.0.0.1/tcp/0", "--metrics-listen", "0"}, args...)...)
	out, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[0] == "address" {
			d.seed = f[1]
		}
		if strings.HasPrefix(lines.Text(), "Running.") {
			break
		}
	}
	go io.Copy(io.Discard, out)
	if d.seed == "" {
		t.Fatal("the node did not start")
	}
	eventually(t, "the log names the address of the metrics", func() bool { // a goroutine copies the log
		where := regexp.MustCompile(`url=http://([0-9.:]+)/metrics\n`).FindStringSubmatch(d.errs.text())
		if where != nil {
			d.metrics = where[1]
		}
		return where != nil
	})
	return d
}

func get(t *testing.T, url string) string {
	t.Helper()
	text, err := tryGet(url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tryGet(url string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, b)
	}
	return string(b), err
}

// promtool runs promtool to its end, which must be a success.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// server is a running Prometheus.
type server struct {
	t   *testing.T
	url string
}

// answer is what its API says.
type answer struct {
	Status string
	Data   struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
		Alerts []struct {
			Labels map[string]string
			State  string
		}
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
}

func (s *server) api(path string) answer {
	s.t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(get(s.t, s.url+"/api/v1/"+path)), &a); err != nil || a.Status != "success" {
		s.t.Fatalf("%s: got %+v, %v", path, a, err)
	}
	return a
}

// value returns the only value of an expression, and false if there is none yet.
func (s *server) value(expr string) (float64, bool) {
	s.t.Helper()
	a := s.api("query?query=" + url.QueryEscape(expr))
	if len(a.Data.Result) != 1 {
		return 0, false
	}
	v, err := strconv.ParseFloat(a.Data.Result[0].Value[1].(string), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v, true
}

// firing returns the alerts that fire, as NAME INSTANCE.
func (s *server) firing() (list []string) {
	s.t.Helper()
	for _, a := range s.api("alerts").Data.Alerts {
		if a.State == "firing" {
			list = append(list, a.Labels["alertname"]+" "+a.Labels["instance"])
		}
	}
	slices.Sort(list)
	return list
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for: %s", what)
		}
	}
}

const (
	rules     = "../../packaging/prometheus/alerts.yml"
	ruleTests = "../../packaging/prometheus/alerts_test.yml"
	dashboard = "../../packaging/grafana/gamelan.json"
)

// TestRules: the alerts are valid, and fire when they should: promtool says so.
func TestRules(t *testing.T) {
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", "test", "rules", ruleTests)
}

// TestPrometheus has Prometheus scrape two nodes that exchange messages. Their metrics and the queries of the
// dashboard are valid, and no alert fires. Then one node is killed. The alerts say that it is down, and that the other is
// offline.
func TestPrometheus(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "gamelan")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/gamelan-p2p/gamelan/cmd/gamelan").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ann := startNode(t, binary)
	bob := startNode(t, binary, "--peer", ann.seed, "--health-offline-after", "1s")
	for i := range 3 {
		send := exec.Command(binary, "send", "--data-dir", bob.dir, ann.seed, fmt.Sprint("message ", i))
		if out, err := send.CombinedOutput(); err != nil {
			t.Fatalf("send: %v\n%s", err, out)
		}
	}
	for _, d := range []*daemon{ann, bob} {
		promtool(t, get(t, "http://"+d.metrics+"/metrics"), "check", "metrics")
	}
	s := startPrometheus(t, ann, bob)
	eventually(t, "both nodes are scraped", func() bool { n, _ := s.value("count(gamelan_build_info)"); return n == 2 })
	for expr, want := range map[string]float64{
		fmt.Sprintf(`sum(gamelan_sends_total{instance=%q, outcome="confirmed"})`, bob.metrics):                  3,
		fmt.Sprintf(`gamelan_send_duration_seconds_count{instance=%q}`, bob.metrics):                            3,
		fmt.Sprintf(`gamelan_inbox_received_messages_total{instance=%q}`, ann.metrics):                          3,
		fmt.Sprintf(`gamelan_messages_total{instance=%q, kind="plain", direction="in"}`, ann.metrics):           3,
		fmt.Sprintf(`gamelan_connections{instance=%q, direction="in"}`, ann.metrics):                            1,
		fmt.Sprintf(`gamelan_dials_total{instance=%q, result="connected"}`, bob.metrics):                        1,
		fmt.Sprintf(`gamelan_online{instance=%q}`, bob.metrics):                                                 1,
		fmt.Sprintf(`gamelan_health_state{instance=%q, state="ok"}`, bob.metrics):                               1,
		fmt.Sprintf(`gamelan_seeds{instance=%q}`, bob.metrics):                                                  1,
		fmt.Sprintf(`count(gamelan_condition{instance=%q, code="disk_full"} == 0)`, bob.metrics):                1,
		fmt.Sprintf(`count(process_resident_memory_bytes{instance=%q} > 0 and go_goroutines > 0)`, bob.metrics): 1,
		fmt.Sprintf(`count(gamelan_disk_free_bytes{instance=%q} > gamelan_disk_needed_bytes)`, bob.metrics):     1,
		fmt.Sprintf(`count(gamelan_connection_bytes_total{instance=%q, direction="out"} > 100)`, bob.metrics):   1,
		fmt.Sprintf(`count(gamelan_start_time_seconds{instance=%q} > time() - 600)`, bob.metrics):               1,
		fmt.Sprintf(`count(process_open_fds{instance=%q} / process_max_fds < 0.8)`, bob.metrics):                1,
		fmt.Sprintf(`count(gamelan_actors{instance=%q} > 20)`, bob.metrics):                                     1,
	} {
		var got float64
		eventually(t, fmt.Sprintf("%s is %v", expr, want), func() bool { got, _ = s.value(expr); return got == want })
	}
	eventually(t, "a rate can be told", func() bool {
		n, _ := s.value("min(count_over_time(gamelan_build_info[1m]))")
		return n >= 3
	})
	s.dashboard()
	if got := s.firing(); len(got) > 0 {
		t.Errorf("got the alerts %q of nodes that work", got)
	}
	for _, g := range s.api("rules").Data.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" || r.LastError != "" {
				t.Errorf("the rule %s has failed: %s", r.Name, r.LastError)
			}
		}
	}
	if err := ann.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the alerts of both", func() bool {
		got := s.firing()
		return slices.Contains(got, "GamelanDown "+ann.metrics) && slices.Contains(got, "GamelanOffline "+bob.metrics)
	})
}

// startPrometheus starts Prometheus, which scrapes these nodes each second and evaluates the rules, with pauses of
// a second.
func startPrometheus(t *testing.T, nodes ...*daemon) *server {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	b = regexp.MustCompile(`(?m)^( +for: ).*$`).ReplaceAll(b, []byte("${1}1s"))
	targets := make([]string, len(nodes))
	for i, n := range nodes {
		targets[i] = strconv.Quote(n.metrics)
	}
	for name, text := range map[string]string{
		"alerts.yml": string(b),
		"prometheus.yml": fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: gamelan
    static_configs: [{targets: [%s]}]
`, strings.Join(targets, ", ")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, "", "check", "config", filepath.Join(dir, "prometheus.yml"))
	ports, err := freeport.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p := newProgram(t, "prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", at)
	p.Stdout = p.errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{t, "http://" + at}
	eventually(t, "Prometheus is ready", func() bool { _, err := tryGet(s.url + "/-/ready"); return err == nil })
	return s
}

// empty are the panels that show nothing of nodes that work, and have just begun.
var empty = []string{"What is wrong", "Clock ahead", "Connections ended per minute"}

// dashboard has Prometheus evaluate each query of the dashboard, and those of its variables.
func (s *server) dashboard() {
	s.t.Helper()
	b, err := os.ReadFile(dashboard)
	if err != nil {
		s.t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			n++
			expr := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(q.Expr)
			if a := s.api("query?query=" + url.QueryEscape(expr)); len(a.Data.Result) == 0 && !slices.Contains(empty, p.Title) {
				s.t.Errorf("panel %q: got nothing for %s", p.Title, expr)
			}
		}
	}
	if n < 15 {
		s.t.Errorf("got %d queries of the dashboard, want all", n)
	}
}

package inspect

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func secs(n int) time.Duration { return time.Duration(n) * time.Second }

// fakeSender confirms every message, unless told otherwise.
type fakeSender struct {
	mu     sync.Mutex
	got    []SendRequest
	refuse error                                                     // Resolve
	send   func(ctx context.Context, m SendRequest) (Pending, error) // nil: confirm at once
}

func (f *fakeSender) Resolve(_ context.Context, peer string) (string, error) {
	return "id of " + peer, f.refuse
}

func (f *fakeSender) Send(ctx context.Context, m SendRequest) (Pending, error) {
	f.mu.Lock()
	f.got = append(f.got, m)
	f.mu.Unlock()
	if f.send != nil {
		return f.send(ctx, m)
	}
	return settled{Outcome: models.OutcomeConfirmed}, nil
}

// settled has its outcome already.
type settled models.Outcome

func (s settled) Wait(context.Context) models.Outcome { return models.Outcome(s) }

var testToken = Token{secret: [32]byte{1, 2, 3}, set: true}

func mutating(t *testing.T, a Actions) *http.Client {
	t.Helper()
	h, err := Mutations(testToken, a)
	if err != nil {
		t.Fatal(err)
	}
	return onUnix(t, Join(Handler(Options{}), h))
}

func post(ctx context.Context, t *testing.T, c *http.Client, target, kind string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node"+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken.Reveal())
	r.Header.Set("Content-Type", kind)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// sents reads outcomes to the end and returns them by number.
func sents(t *testing.T, r io.Reader) map[uint64]models.Sent {
	t.Helper()
	all := map[uint64]models.Sent{}
	d := json.NewDecoder(r)
	for {
		var s models.Sent
		if err := d.Decode(&s); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[s.N]; twice {
			t.Errorf("message %d has two outcomes", s.N)
		}
		all[s.N] = s
	}
}

func TestEveryLineHasOneOutcome(t *testing.T) {
	f := &fakeSender{}
	c := mutating(t, Actions{Sender: f})
	const n = 20000
	var body bytes.Buffer
	for i := range n {
		fmt.Fprintf(&body, "line %d\n", i+1)
	}
	res := post(t.Context(), t, c, "/v1/messages?peer=x&resend=true", "text/plain", &body)
	all := sents(t, res.Body)
	if res.StatusCode != http.StatusOK || len(all) != n {
		t.Fatalf("got %d outcomes, status %d, want %d", len(all), res.StatusCode, n)
	}
	for i, m := range f.got {
		if want := fmt.Sprintf("line %d", i+1); string(m.Body) != want || m.Peer != "id of x" || !m.Resend {
			t.Fatalf("message %d: got %q to %q, resend %v, want %q", i, m.Body, m.Peer, m.Resend, want)
		}
	}
	if s := all[n]; s.Outcome.Outcome != models.OutcomeConfirmed || s.Peer != "id of x" {
		t.Errorf("last: got %+v", s)
	}
}

func TestOutcomesComeWhileLinesAreStillSent(t *testing.T) {
	c := mutating(t, Actions{Sender: &fakeSender{}})
	r, w := io.Pipe()
	res := post(t.Context(), t, c, "/v1/messages?peer=x", "text/plain; charset=utf-8", r)
	out := bufio.NewReader(res.Body)
	for i := range 3 {
		fmt.Fprintf(w, "%d\n", i)
		if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, fmt.Sprintf(`"n":%d,`, i+1)) {
			t.Fatalf("after line %d: got %q, %v", i+1, line, err)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) != 0 {
		t.Errorf("after the end: got %q, %v, want the end", rest, err)
	}
}

func TestWithoutCreditNothingMoreIsRead(t *testing.T) {
	credit := make(chan struct{})
	f := &fakeSender{send: func(ctx context.Context, m SendRequest) (Pending, error) {
		select {
		case <-credit:
			return settled{Outcome: models.OutcomeConfirmed}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	c := mutating(t, Actions{Sender: f})
	r, w := io.Pipe()
	written := make(chan int)
	line := append(bytes.Repeat([]byte{'x'}, 1<<10), '\n')
	const total = 16 << 10 // lines: 16 MiB, far beyond what socket and readers hold
	go func() {
		defer w.Close()
		for range total {
			if _, err := w.Write(line); err != nil {
				return
			}
			written <- 1
		}
		close(written)
	}()
	res := post(t.Context(), t, c, "/v1/messages?peer=x", "text/plain", r)
	n := 0
	for stalled := false; !stalled; {
		select {
		case <-written:
			n++
		case <-time.After(200 * time.Millisecond):
			stalled = true
		}
	}
	if n >= 4<<10 {
		t.Errorf("%d KiB were taken without credit, want less than 4 MiB", n)
	}
	close(credit)
	go func() {
		for range written {
		}
	}()
	if all := sents(t, res.Body); len(all) != total {
		t.Errorf("got %d outcomes, want %d", len(all), total)
	}
}

func TestClientThatLeavesWithdrawsItsMessages(t *testing.T) {
	waiting, withdrawn := make(chan struct{}), make(chan struct{})
	f := &fakeSender{send: func(ctx context.Context, m SendRequest) (Pending, error) {
		close(waiting)
		<-ctx.Done()
		close(withdrawn)
		return nil, ctx.Err()
	}}
	c := mutating(t, Actions{Sender: f})
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go fmt.Fprintln(w, "hello")
	post(ctx, t, c, "/v1/messages?peer=x", "text/plain", r)
	<-waiting
	cancel()
	select {
	case <-withdrawn:
	case <-time.After(time.Minute):
		t.Fatal("Send still waits for credit a minute after its client has gone")
	}
}

// searching finds each peer when over is closed.
type searching struct {
	*fakeSender
	begun, over chan struct{}
}

func (s searching) Resolve(context.Context, string) (string, error) {
	close(s.begun)
	<-s.over
	return "00", nil
}

// TestClientThatLeavesDuringTheSearch: a peer that is found later is sent nothing, although the messages have come.
func TestClientThatLeavesDuringTheSearch(t *testing.T) {
	s := searching{&fakeSender{send: func(context.Context, SendRequest) (Pending, error) {
		t.Error("a message was sent")
		return nil, errors.New("no")
	}}, make(chan struct{}), make(chan struct{})}
	m, err := Mutations(testToken, Actions{Sender: s})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	c := onUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		m.ServeHTTP(w, r)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-s.begun
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/v1/messages?peer=x", strings.NewReader("hello\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken.Reveal())
	if _, err := c.Do(r); err == nil {
		t.Error("got an answer, want none")
	}
	close(s.over)
	<-ended
}

// forever has no outcome until its context ends.
type forever struct{}

func (forever) Wait(ctx context.Context) models.Outcome {
	<-ctx.Done()
	return models.Outcome{Outcome: models.OutcomeInDoubt, Reason: "expired"}
}

func TestClientThatLeavesIsNotWaitedFor(t *testing.T) {
	sent := make(chan struct{}, 1)
	ended := make(chan struct{})
	f := &fakeSender{send: func(context.Context, SendRequest) (Pending, error) {
		sent <- struct{}{}
		return forever{}, nil
	}}
	m, err := Mutations(testToken, Actions{Sender: f})
	if err != nil {
		t.Fatal(err)
	}
	c := onUnix(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		m.ServeHTTP(w, r)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	post(ctx, t, c, "/v1/messages?peer=x", "text/plain", strings.NewReader("hello\n"))
	<-sent
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the request still waits for an outcome a minute after its client has gone")
	}
}

func TestWholeBodyIsOneMessage(t *testing.T) {
	f := &fakeSender{}
	c := mutating(t, Actions{Sender: f})
	all := sents(t, post(t.Context(), t, c, "/v1/messages?peer=x", "application/octet-stream", strings.NewReader("a\nb\x00\n")).Body)
	if len(all) != 1 || len(f.got) != 1 || string(f.got[0].Body) != "a\nb\x00\n" {
		t.Errorf("got %d outcomes, %d messages, want 1 and the whole body", len(all), len(f.got))
	}
}

func TestRefusedMessagesHaveOutcomesToo(t *testing.T) {
	f := &fakeSender{send: func(ctx context.Context, m SendRequest) (Pending, error) {
		if string(m.Body) == "no" {
			return nil, errors.New("node is closed")
		}
		return settled{Outcome: models.OutcomeFailed, Reason: "dial failed"}, nil
	}}
	c := mutating(t, Actions{Sender: f})
	body := "no\n" + strings.Repeat("x", DefaultMaxBody+1) + "\nyes"
	all := sents(t, post(t.Context(), t, c, "/v1/messages?peer=x", "text/plain", strings.NewReader(body)).Body)
	for n, want := range map[uint64]string{1: "not accepted", 2: "too long", 3: "dial failed"} {
		if s := all[n]; s.Outcome.Outcome != models.OutcomeFailed || s.Reason != want {
			t.Errorf("message %d: got %+v, want failed: %s", n, s, want)
		}
	}
}

// expiring has an outcome only when the context of Wait ends.
type expiring struct{}

func (e expiring) Wait(ctx context.Context) models.Outcome {
	<-ctx.Done()
	return models.Outcome{Outcome: models.OutcomeFailed, Reason: "expired"}
}

func TestTimeoutWithdrawsAMessage(t *testing.T) {
	f := &fakeSender{send: func(ctx context.Context, m SendRequest) (Pending, error) {
		if string(m.Body) == "no credit" {
			<-ctx.Done()
			return nil, errors.New("no credit in time")
		}
		return expiring{}, nil
	}}
	c := mutating(t, Actions{Sender: f})
	res := post(t.Context(), t, c, "/v1/messages?peer=x&timeout=10ms", "text/plain", strings.NewReader("a\nno credit\n"))
	all := sents(t, res.Body)
	if len(all) != 2 || all[1].Reason != "expired" || all[2].Detail != "no credit in time" {
		t.Errorf("got %+v, want one expired and one without credit", all)
	}
	for _, limit := range []string{"0s", "-1s", "soon"} {
		res := post(t.Context(), t, c, "/v1/messages?peer=x&timeout="+limit, "text/plain", strings.NewReader("a\n"))
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, want it refused", limit, res.StatusCode)
		}
	}
}

func TestLines(t *testing.T) {
	for in, want := range map[string][]string{
		"":             nil,
		"a":            {"a"},
		"a\n":          {"a"},
		"a\nb":         {"a", "b"},
		"\n\n":         {"", ""},
		"a\r\n":        {"a\r"},
		"12345678\nok": {"12345678", "ok"},
	} {
		l := newLineReader(strings.NewReader(in), 8)
		var got []string
		for {
			b, err := l.next()
			if err != nil {
				if err != io.EOF {
					t.Errorf("%q: got %v, want the end", in, err)
				}
				break
			}
			got = append(got, string(b))
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	l := newLineReader(strings.NewReader("123456789\nok\n123456789"), 8)
	for i, want := range []error{errLongLine, nil, errLongLine, io.EOF} {
		if _, err := l.next(); err != want {
			t.Errorf("line %d: got %v, want %v", i, err, want)
		}
	}
}

func TestMutationsNeedTheToken(t *testing.T) {
	if _, err := Mutations(Token{}, Actions{}); !errors.Is(err, ErrNoToken) {
		t.Fatalf("without a token: got %v, want ErrNoToken", err)
	}
	stopped, stopping := 0, false
	var told []string
	h, err := Mutations(testToken, Actions{
		Shutdown: func() { stopped++ }, Stopping: func() bool { return stopping },
		Admin: func(e string) { told = append(told, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, path, auth string, header ...string) int {
		r := httptest.NewRequest(method, "http://localhost"+path, nil)
		r.Header.Set("Authorization", auth)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	good := "Bearer " + testToken.Reveal()
	for _, bad := range []string{"", "Bearer", "Bearer ", testToken.Reveal(), "Basic " + testToken.Reveal(), "Bearer " + strings.Repeat("00", 32), good[:len(good)-1]} {
		if code := do("POST", "/v1/shutdown", bad); code != 401 {
			t.Errorf("%q: got %d, want 401", bad, code)
		}
	}
	if code := do("POST", "/v1/shutdown", good, "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("from another site: got %d, want 403", code)
	}
	if code := do("GET", "/v1/shutdown", good); code != 405 {
		t.Errorf("GET: got %d, want 405", code)
	}
	if stopped != 0 || told != nil {
		t.Fatalf("a refused request stopped the node (%d) or was told of (%v)", stopped, told)
	}
	if code := do("POST", "/v1/shutdown", good); code != 202 || stopped != 1 || fmt.Sprint(told) != "[admin.shutdown]" {
		t.Errorf("got %d, stopped %d, told %v, want 202, once, admin.shutdown", code, stopped, told)
	}
	stopping = true
	if code := do("POST", "/v1/shutdown", good); code != 503 {
		t.Errorf("while stopping: got %d, want 503", code)
	}
}

// TestAcknowledgeWhileStopping: what a listener has written while the node stops is
// acknowledged, else it would come again, to listener after listener; nothing else
// is done any more.
func TestAcknowledgeWhileStopping(t *testing.T) {
	var got []uint64
	c := mutating(t, Actions{
		Acknowledge: func(_ context.Context, seqs []uint64) error { got = append(got, seqs...); return nil },
		Stopping:    func() bool { return true },
	})
	for path, want := range map[string]int{"/v1/messages:ack": 200, "/v1/messages": 503, "/v1/peers": 503} {
		if res := post(t.Context(), t, c, path, "application/json", strings.NewReader(`{"seqs":[7]}`)); res.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, res.StatusCode, want)
		}
	}
	if fmt.Sprint(got) != "[7]" {
		t.Errorf("got %v acknowledged, want 7", got)
	}
}

func TestTokenNeverPrints(t *testing.T) {
	secret := testToken.Reveal()
	j, _ := json.Marshal(testToken)
	for _, s := range []string{fmt.Sprint(testToken), fmt.Sprintf("%v %+v %#v %s %q %x %d", testToken, testToken, testToken, testToken, testToken, testToken, testToken), string(j)} {
		if strings.Contains(s, secret) || strings.Contains(s, "1 2 3") || !strings.Contains(s, "***") {
			t.Errorf("got %s, want ***", s)
		}
	}
	back, err := ParseToken(secret + "\n")
	if err != nil || back != testToken {
		t.Errorf("ParseToken: got %v", err)
	}
	for _, bad := range []string{"", "12", strings.Repeat("zz", 32), secret + "00"} {
		if _, err := ParseToken(bad); !errors.Is(err, ErrBadToken) {
			t.Errorf("ParseToken(%q): got %v, want ErrBadToken", bad, err)
		}
	}
}

// fakeMessages yields its messages and then waits for the end.
type fakeMessages []models.Message

func (f fakeMessages) Listen(ctx context.Context, o Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		for i, m := range f {
			if o.Most > 0 && i == o.Most {
				yield(models.Message{}, errors.New("enough"))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}

func TestReceivedMessagesAreStreamed(t *testing.T) {
	c := onUnix(t, Handler(Options{Messages: fakeMessages{
		{Seq: 1, At: t0, From: "ab", Peer: nodeA, Body: []byte("grün")},
		{Seq: 5, At: t0, From: "ab", Peer: nodeA, Body: []byte{0xff, 0}, Lost: 3},
	}}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/v1/messages", nil)
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	for _, want := range []string{
		`{"seq":1,"at":"2026-11-20T12:00:00Z","from":"ab","peer":"` + nodeA + `","size":5,"text":"grün"}`,
		`{"seq":5,"at":"2026-11-20T12:00:00Z","from":"ab","peer":"` + nodeA + `","size":2,"base64":"/wA=","lost":3}`,
	} {
		line, err := in.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Errorf("got %s (%v), want %s", line, err, want)
		}
		var m models.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Peer != nodeA {
			t.Errorf("back: got %+v, %v", m, err)
		}
	}
}

// TestBodiesDoNotSwell: whatever a peer sends, it is not much longer in JSON, and
// comes back as it was.
func TestBodiesDoNotSwell(t *testing.T) {
	const size = 1 << 20
	for _, c := range []struct {
		part string
		text bool
	}{
		{"\x00", false},
		{"\x1b[2J", false}, // 9 bytes for 4
		{"\x1b[20;10H", true},
		{"\x1b\x01a", false},
		{"<&>", false},
		{"\u2028", true},
		{"\"\\\n\t", true},
		{"a < b, and c\n", true},
		{"plain ", true},
		{"\xff", false},
	} {
		m := models.Message{Body: bytes.Repeat([]byte(c.part), size/len(c.part))}
		b, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 2*len(m.Body)+200 {
			t.Errorf("%q: got %d bytes for %d, want twice as many at most", c.part, len(b), len(m.Body))
		}
		if got := bytes.Contains(b, []byte(`"text":`)); got != c.text {
			t.Errorf("%q: got text %v, want %v", c.part, got, c.text)
		}
		var back models.Message
		if err := json.Unmarshal(b, &back); err != nil || !bytes.Equal(back.Body, m.Body) {
			t.Errorf("%q: got another body back, or %v", c.part, err)
		}
	}
	b, err := models.Message{Body: []byte("\x1b\x00")}.MarshalJSON()
	if err != nil || !bytes.Contains(b, []byte(`"text":"\u001b\u0000"`)) {
		t.Errorf("got %s, %v, want a short body as text", b, err)
	}
}

// TestListeningIsToldHow: all and count reach the node, and an error of it is the
// last line.
func TestListeningIsToldHow(t *testing.T) {
	c := onUnix(t, Handler(Options{Messages: fakeMessages{{Seq: 1}, {Seq: 2}}}))
	res, err := c.Get("http://node/v1/messages?count=1&all=true")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || len(lines) != 2 || !strings.Contains(lines[0], `"seq":1`) || !strings.Contains(lines[1], `{"error":{"code":"internal","message":"enough"`) {
		t.Errorf("got %q, %v, want a message and the error", b, err)
	}
	for _, bad := range []string{"count=-1", "all=perhaps", "from=1", "name=" + strings.Repeat("x", maxListener+1)} {
		if res, err := c.Get("http://node/v1/messages?" + bad); err != nil || res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %v, %v, want 400", bad, res, err)
		}
	}
}

func TestAcknowledge(t *testing.T) {
	var got []uint64
	var refuse error
	c := mutating(t, Actions{Acknowledge: func(_ context.Context, seqs []uint64) error { got = append(got, seqs...); return refuse }})
	for body, want := range map[string]int{
		`{"seqs":[1,3]}`: 200, `{"seqs":[]}`: 400, `{}`: 400, `[1]`: 400, `{"seqs":[-1]}`: 400, `{"seq":[1]}`: 400, ``: 400,
		`{"seqs":[` + strings.Repeat("1,", maxAcks) + `1]}`: 400,
	} {
		if res := post(t.Context(), t, c, "/v1/messages:ack", "application/json", strings.NewReader(body)); res.StatusCode != want {
			t.Errorf("%.30s: got %d, want %d", body, res.StatusCode, want)
		}
	}
	if fmt.Sprint(got) != "[1 3]" {
		t.Errorf("got %v acknowledged, want 1 and 3", got)
	}
	refuse = errors.New("disk")
	if res := post(t.Context(), t, c, "/v1/messages:ack", "application/json", strings.NewReader(`{"seqs":[1]}`)); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("refused: got %d, want 500", res.StatusCode)
	}
	if res := post(t.Context(), t, mutating(t, Actions{}), "/v1/messages:ack", "application/json", strings.NewReader(`{"seqs":[1]}`)); res.StatusCode != http.StatusNotFound {
		t.Errorf("without an inbox: got %d, want 404", res.StatusCode)
	}
}

func TestHandBack(t *testing.T) {
	var got []string
	var refuse error
	c := mutating(t, Actions{HandBack: func(_ context.Context, name string) error { got = append(got, name); return refuse }})
	for body, want := range map[string]int{
		`{"name":"me"}`: 200, `{"name":""}`: 400, `{}`: 400, `{"name":1}`: 400, `{"names":"me"}`: 400, ``: 400,
		`{"name":"` + strings.Repeat("x", maxListener+1) + `"}`: 400,
	} {
		if res := post(t.Context(), t, c, "/v1/messages:back", "application/json", strings.NewReader(body)); res.StatusCode != want {
			t.Errorf("%.30s: got %d, want %d", body, res.StatusCode, want)
		}
	}
	if fmt.Sprint(got) != "[me]" {
		t.Errorf("got %v handed back, want what me had", got)
	}
	refuse = errors.New("late")
	if res := post(t.Context(), t, c, "/v1/messages:back", "application/json", strings.NewReader(`{"name":"me"}`)); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("refused: got %d, want 500", res.StatusCode)
	}
	if res := post(t.Context(), t, mutating(t, Actions{}), "/v1/messages:back", "application/json", strings.NewReader(`{"name":"me"}`)); res.StatusCode != http.StatusNotFound {
		t.Errorf("without an inbox: got %d, want 404", res.StatusCode)
	}
}

func TestMessagesAreServedOnUnixSocketsOnly(t *testing.T) {
	if code, _ := get(t, Handler(Options{Messages: fakeMessages{}}), "/v1/messages"); code != 403 {
		t.Errorf("over TCP: got %d, want 403", code)
	}
}

// timedSender notes until when it may search, and until when a message may wait.
type timedSender struct{ search, message time.Time }

func (s *timedSender) Resolve(ctx context.Context, peer string) (string, error) {
	s.search, _ = ctx.Deadline()
	return peer, nil
}

func (s *timedSender) Send(ctx context.Context, _ SendRequest) (Pending, error) {
	s.message, _ = ctx.Deadline()
	return settled{Outcome: models.OutcomeConfirmed}, nil
}

// TestTimeoutCoversTheSearch: the search for the peer ends after the timeout, and with
// at_once so does the message.
func TestTimeoutCoversTheSearch(t *testing.T) {
	for query, same := range map[string]bool{"": false, "&at_once=true": true} {
		s := &timedSender{}
		res := post(t.Context(), t, mutating(t, Actions{Sender: s}), "/v1/messages?peer=x&timeout=1m"+query, "text/plain", strings.NewReader("a\n"))
		if all := sents(t, res.Body); len(all) != 1 {
			t.Fatalf("%q: got %d outcomes, want 1", query, len(all))
		}
		if s.search.IsZero() || s.message.Before(s.search) || s.message.Equal(s.search) != same {
			t.Errorf("%q: got the search until %v, the message until %v, want the same: %v", query, s.search, s.message, same)
		}
	}
}

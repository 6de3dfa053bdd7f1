package inspect

import (
	"context"
	"reflect"
	"runtime/pprof"
	"strings"
	"testing"
)

func waitHere(c chan struct{}) { <-c }

func TestStacksShowTheGoroutinesOfOneActor(t *testing.T) {
	src := testSource()
	id := "gamelan-7f3a91c2/node/peers"
	stop, started := make(chan struct{}), make(chan struct{})
	defer close(stop)
	go pprof.Do(context.Background(), pprof.Labels(ActorLabel, id, "task", `odd "name", {}`), func(context.Context) {
		close(started)
		waitHere(stop)
	})
	<-started
	s := getJSON[Stacks](t, Handler(Options{Source: src}), "/v1/actors/node/peers/stacks")
	if len(s.Goroutines) != 1 || s.Goroutines[0].Count != 1 || s.Goroutines[0].Labels["task"] != `odd "name", {}` {
		t.Fatalf("got %+v, want the one goroutine with its labels", s.Goroutines)
	}
	if all := strings.Join(s.Goroutines[0].Stack, "\n"); !strings.Contains(all, "inspect.waitHere") && !strings.Contains(all, "TestStacks") {
		t.Errorf("got stack\n%s", all)
	}
	if s := getJSON[Stacks](t, Handler(Options{Source: src}), "/v1/actors/node/conns/stacks"); len(s.Goroutines) != 0 {
		t.Errorf("another actor: got %+v, want none", s.Goroutines)
	}
}

func TestStacksShowTheLastFailure(t *testing.T) {
	s := getJSON[Stacks](t, Handler(Options{Source: testSource()}), "/v1/actors/node/extensions/handler/stacks")
	want := &Stack{StackID: "00c0ffee00c0ffee", Reason: "boom\x1b[2J", Stack: []string{"goroutine 1 [running]:", "main.f()", "\t/src/f.go:3 +0x1"}}
	if !reflect.DeepEqual(s.LastFailure, want) {
		t.Errorf("got %+v, want %+v", s.LastFailure, want)
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add("2 @ 0x44 0x55\n# labels: {\"actor\":\"node/peers\", \"task\":\"a\\\"b\"}\n#\t0x44\tmain.f+0x1f\t/src/main.go:12\n")
	f.Add("# labels: {\"\n1 @ \n#\t\t\t\n")
	f.Fuzz(func(t *testing.T, s string) {
		all, _ := parseProfile(strings.NewReader(s))
		for _, g := range all {
			if g.Labels == nil || g.Stack == nil {
				t.Fatalf("got %+v, want no nil map or slice", g)
			}
		}
	})
}

package gamelantest

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A real socket in a bubble keeps its clock from moving: that is told instead of
// waiting for the end of go test's patience.
func TestRealSocketInBubbleIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	end := watch(10*time.Millisecond, 5, func(text string) {
		told = text
		l.Close() // lets the clock move again
	})
	synctest.Test(t, func(*testing.T) {
		go l.Accept()
		time.Sleep(time.Hour)
	})
	end()
	for _, want := range []string{"Network.Start", "net.(*TCPListener).Accept"} {
		if !strings.Contains(told, want) {
			t.Errorf("got %q, want %q in it", told, want)
		}
	}
}

func TestWatchdogCountsOnlyWhatIsStuck(t *testing.T) {
	const (
		socket  = "goroutine 7 [IO wait, 2 minutes, synctest bubble 1]:\nnet.accept"
		other   = "goroutine 8 [IO wait, synctest bubble 1]:\nnet.read"
		outside = "goroutine 9 [IO wait]:\nnet.accept"
		sleeps  = "goroutine 10 [sleep (durable), synctest bubble 1]:\ntime.Sleep"
		works   = "goroutine 11 [runnable, synctest bubble 1]:\nmain.work"
	)
	for name, c := range map[string]struct {
		looks [][]string
		want  string
	}{
		"stuck":           {[][]string{{socket, sleeps}, {socket, sleeps}, {socket}}, socket},
		"not yet":         {[][]string{{socket}, {socket}}, ""},
		"of nobody's":     {[][]string{{outside, sleeps}, {outside}, {outside}}, ""},
		"others work":     {[][]string{{socket}, {socket}, {socket, works}, {socket}, {socket}}, ""},
		"answers come":    {[][]string{{socket}, {socket}, {other}, {socket}, {other}}, ""},
		"none waits":      {[][]string{{sleeps}, {sleeps}, {sleeps}}, ""},
		"one of two does": {[][]string{{socket, other}, {socket}, {socket, other}}, socket},
	} {
		seen, got := map[string]int{}, ""
		for _, stacks := range c.looks {
			got = look(seen, strings.Join(stacks, "\n\n"), 3)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

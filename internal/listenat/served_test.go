package listenat

import (
	"fmt"
	"log"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestErrors: the first error is said, then one a minute, with how many there were.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		e := &Errors{Say: func(what string, n int) { said = append(said, fmt.Sprint(what, " ", n)) }}
		l := log.New(e, "", 0)
		l.Print("one")
		l.Print("two")
		e.Println("three", 3)
		time.Sleep(ErrorsEvery)
		l.Print("four")
		if want := []string{"one 1", "four 3"}; !slices.Equal(said, want) {
			t.Errorf("got %q, want %q", said, want)
		}
	})
}

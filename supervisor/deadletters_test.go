package supervisor

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// TestDeadLetters: messages that reach nobody are remembered, the last ones, without orders of this package.
func TestDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys, _ := startTree(t, Spec{New: Group(Spec{Name: "a", New: act(func(actor.Context) {})})}, Options{})
		synctest.Wait()
		before := len(DeadLetters(sys))
		nobody := sys.NewLocalPID("t/tree/nobody")
		for range deadLettersKept + 10 {
			sys.Root.Send(nobody, "lost")
		}
		sys.Root.Send(nobody, 7)
		sys.Root.Send(nobody, &actor.Stop{})
		synctest.Wait()
		all := DeadLetters(sys)
		if before != 0 || len(all) != deadLettersKept {
			t.Fatalf("got %d, then %d, want 0, then %d", before, len(all), deadLettersKept)
		}
		last := all[len(all)-1]
		if last.Message != "int" || !strings.HasSuffix(last.Target, "/nobody") || all[0].Message != "string" || last.At.IsZero() {
			t.Errorf("got %+v", last)
		}
	})
}

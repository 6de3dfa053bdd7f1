package assemble

import (
	"context"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// NewSystem returns an actor system that logs only warnings and errors,
// to l. A system made by [actor.NewActorSystem] works as well, but uses about 10 MB more
// memory in the long run.
func NewSystem(l *slog.Logger) *actor.ActorSystem {
	quiet := slog.New(warnings{l.Handler()})
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	supervisor.Compact(sys)
	return sys
}

// warnings drops log records below Warn, such as those about a message to an actor that
// has just stopped.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }
func (w warnings) WithGroup(g string) slog.Handler      { return warnings{w.Handler.WithGroup(g)} }

package anchors

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// quiet is a logger for actor systems that says nothing.
func quiet(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }

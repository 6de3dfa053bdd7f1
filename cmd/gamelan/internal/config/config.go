package config

import (
	"log/slog"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

// Config is what the settings say. In Node a field that nobody has set is
// zero, so that the node chooses.
type Config struct {
	Node      gamelan.Config
	LogLevel  slog.Level
	LogFormat string        // "text" or "json"
	Drain     time.Duration // for what was accepted, when the node is told to stop
}

// own are the defaults that are not the node's.
func own() Config {
	return Config{LogLevel: slog.LevelWarn, LogFormat: "text", Drain: 30 * time.Second}
}

// defaults has every default written out.
func defaults() *Config {
	c := own()
	c.Node = gamelan.DefaultConfig()
	return &c
}

package config

import "github.com/gamelan-p2p/gamelan/internal/settings"

// InspectConfig says what a node tells others of its connections with them.
type InspectConfig struct {
	// Whether connected peers are told, when they ask, what this node remembers of connections with
	// them. That is which it has refused, and which of its dials did not reach them.
	//
	// It is [SharePrivate], which is the default: in a private network alone, [ShareAlways] or
	// [ShareNever]. A peer hears of itself and of its IP address, of the last hour. Who does not tell
	// does not ask.
	ShareWhy string
}

// Values of [InspectConfig.ShareWhy].
const (
	SharePrivate = "private"
	ShareAlways  = "always"
	ShareNever   = "never"
)

func inspectRows() []*settings.Row {
	return []*settings.Row{
		settings.OneOf("inspect.share_why", func(c *InspectConfig) *string { return &c.ShareWhy }, SharePrivate, []string{SharePrivate, ShareAlways, ShareNever}, `"always"`),
	}
}

package rpc

// ClientOption is a setting of a client: an [Encoding].
type ClientOption interface{ set(*ClientSettings) }

// ClientSettings are the settings of a client. An [Invoker] that takes options makes them
// with [Settings]; all others need only the options.
type ClientSettings struct{ Encoding Encoding }

// Settings returns the settings that the options make.
func Settings(opts ...ClientOption) ClientSettings {
	var s ClientSettings
	for _, o := range opts {
		o.set(&s)
	}
	return s
}

func (e Encoding) set(s *ClientSettings) { s.Encoding = e }

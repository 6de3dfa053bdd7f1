package sim

import (
	"cmp"
	"time"
)

// Config describes a simulation. A zero value stands for its default, named after the
// semicolon.
type Config struct {
	Nodes int    `json:"nodes"` // 50
	Seed  uint64 `json:"seed"`
	K     int    `json:"k"`     // 20
	Alpha int    `json:"alpha"` // 4

	// Churn is the part of the nodes that leaves within an hour, from 0 to less than 1.
	// Up-times are exponential. Each node that leaves is replaced by a new one.
	Churn float64 `json:"churn"`
	// Loss is the part of requests that are lost, or whose answer is.
	Loss float64 `json:"loss"`
	// Colluders is the part of the nodes that name only each other and store nothing.
	Colluders float64 `json:"colluders"`
	// Clients is the part of the nodes that only ask.
	Clients float64 `json:"clients"`

	// RTT is the median of the round-trip times of pairs, which are log-normal; 80 ms.
	// Sigma is their spread; 0.5.
	RTT   time.Duration `json:"rtt"`
	Sigma float64       `json:"sigma"`

	// Settle is how long the network forms and settles before records are published;
	// 10 min.
	Settle time.Duration `json:"settle"`
	// Records are published by random nodes, within a minute; one for each five nodes.
	Records int `json:"records"`
	// Age is how old the records are when the measurement begins; 20 min.
	Age time.Duration `json:"age"`
	// Measure is how long is measured; 10 min. Gets and Searches are spread over it: that
	// many for each node. A Search is for the nodes nearest to a random id.
	Measure  time.Duration `json:"measure"`
	Gets     float64       `json:"gets"`     // 2
	Searches float64       `json:"searches"` // 1

	// Cut is how long the network is cut in two halves. The cut begins when the records
	// are published; they are published again, others, when it has healed and Heal has
	// passed, and only these are asked for.
	Cut  time.Duration `json:"cut"`
	Heal time.Duration `json:"heal"` // 20 min
}

func (c Config) withDefaults() Config {
	c.Nodes = cmp.Or(c.Nodes, 50)
	c.K = cmp.Or(c.K, 20)
	c.Alpha = cmp.Or(c.Alpha, 4)
	c.RTT = cmp.Or(c.RTT, 80*time.Millisecond)
	c.Sigma = cmp.Or(c.Sigma, 0.5)
	c.Settle = cmp.Or(c.Settle, 10*time.Minute)
	c.Records = cmp.Or(c.Records, max(c.Nodes/5, 1))
	c.Age = cmp.Or(c.Age, 20*time.Minute)
	c.Measure = cmp.Or(c.Measure, 10*time.Minute)
	c.Gets = cmp.Or(c.Gets, 2)
	c.Searches = cmp.Or(c.Searches, 1)
	c.Heal = cmp.Or(c.Heal, 20*time.Minute)
	return c
}

// Package harness measures cases beside one another, so that a figure of this
// project is always given as a ratio to a figure of the same minute.
//
// A [Group] runs all its cases once per round, each round beginning with
// another case. Ratios are formed inside a round and summarised afterwards as
// minimum, median and maximum: whatever else the machine does in that minute
// falls on both sides of the division. The figure to trust on a shared machine
// is CPU per operation, user and system time of the whole process.
//
// A case is a function that prepares, measures through its [Meter], and cleans
// up. It runs anew in every round:
//
//	harness.Case{Name: "tcp/rtt-32", Run: func(m *harness.Meter) error {
//		conn, stop, err := echo()
//		if err != nil {
//			return err
//		}
//		defer stop()
//		return m.Loop(50, func() error { return roundTrip(conn) })
//	}}
//
// A case with Fresh set runs in a process of its own, which is how memory is
// measured: see [Meter.Memory].
package harness

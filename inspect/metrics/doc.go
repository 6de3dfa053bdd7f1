// Package metrics shows the metrics of a node to Prometheus, through client_golang. docs/metrics.md lists
// them. A program that does not import it has none of client_golang's server in it.
//
// A program with a server of its own serves [Handler], or registers [New] beside its own metrics:
//
//	http.Handle("/metrics", metrics.Handler(node.Inspection().Options, logger))
//	registry.MustRegister(metrics.New(node.Inspection().Options))
//
// [Serve] listens by itself. The daemon does so with the setting metrics.listen.
package metrics

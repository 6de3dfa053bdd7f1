// Package values decides what a node stores for others: which records it takes, for how
// long, and which make way when it is full (spec: kad B9, B10.2).
//
// [Store] holds the records and decides; it writes to no disk. Its owner checks records
// before it offers them (package record), writes what [Outcome] says, and deletes what
// [Outcome] and [Store.Expire] name. When to replicate a record is the business of package
// upkeep: an Outcome says when a record was stored or given again.
//
// The life of a record is measured on the monotonic clock. Only the expiry that a mutable
// record itself names is compared with the system's clock, both when it is stored and
// whenever it is read.
package values

// Package product holds the cases of Gamelan itself. They go through the
// public API only, with default settings unless a case's name says otherwise,
// over loopback TCP, logging from warnings on.
package product

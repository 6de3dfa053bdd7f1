// Package daemonconfig reads the settings of the command gamelan: those of a node, which package
// config of the library describes, and those of the command alone, which stand here.
package daemonconfig

// Package signals has the signals that stop a process and let it go on.
package signals

//go:build unix

package daemon

import (
	"os/signal"
	"syscall"
)

// ignoreOutputSignals turns signals about the node's outputs and files into errors of the
// writes: by default each ends or stops the process. The reader of standard error has ended
// (PIPE), the node writes to a terminal from the background (TTOU), or a file is as long as
// ulimit -f permits (XFSZ).
func ignoreOutputSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGXFSZ) }

// heedOutputSignals ends ignoreOutputSignals.
func heedOutputSignals() { signal.Reset(syscall.SIGPIPE, syscall.SIGTTOU, syscall.SIGXFSZ) }

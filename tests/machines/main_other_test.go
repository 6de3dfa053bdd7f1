//go:build !linux

package machines

import (
	"fmt"
	"runtime"
)

func begin() error { return fmt.Errorf("%s has no network namespaces", runtime.GOOS) }

func end() error { return nil }

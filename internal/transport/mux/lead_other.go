//go:build !linux

package mux

import "time"

const leadsPay = false

func nap() { time.Sleep(time.Millisecond) }

package kv

import "errors"

// reopenings is how often in a row a write is repeated because the store was opened anew.
const reopenings = 3

// Reapplied calls apply, and again up to three times as long as that returns [ErrReopened],
// and returns its last error. With anew, an earlier call has returned ErrReopened: apply writes
// again what its writer may have lost.
func Reapplied(apply func(anew bool) error) (err error) {
	for try := 0; try == 0 || try <= reopenings && errors.Is(err, ErrReopened); try++ {
		err = apply(try > 0)
	}
	return err
}

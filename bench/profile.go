package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profile begins to write the profiles whose files are named; stop ends it.
func profile(cpu, mem string) (stop func() error, err error) {
	var cpuFile *os.File
	if cpu != "" {
		if cpuFile, err = os.Create(cpu); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpuFile); err != nil {
			return nil, err
		}
	}
	return func() error {
		var errs error
		if cpuFile != nil {
			pprof.StopCPUProfile()
			errs = cpuFile.Close()
		}
		if mem == "" {
			return errs
		}
		f, err := os.Create(mem)
		if err != nil {
			return errors.Join(errs, err)
		}
		return errors.Join(errs, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
	}, nil
}

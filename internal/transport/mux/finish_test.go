package mux

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Finish waits for nothing, also where the connection takes nothing; what was written arrives before
// the end, and no reset follows.
func TestFinish(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late=", late), func(t *testing.T) { testFinish(t, late) })
	}
}

func testFinish(t *testing.T, late bool) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		if _, err := st.Write([]byte("all")); err != nil {
			t.Fatal(err)
		}
		d.next() // SYN
		d.next() // the data
		resume := d.stop()
		written := make(chan error, 1)
		other := mustOpen(t, s)
		go func() { // it holds the connection
			_, err := other.Write(make([]byte, 4*MaxPiece))
			written <- err
		}()
		time.Sleep(time.Second)
		begun := time.Now()
		if err := st.Finish(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v, want no time", took)
		}
		_, err := st.Write([]byte("x"))
		wantErr(t, err, ErrClosed)
		if late {
			time.Sleep(20 * time.Second) // longer than it lingers
		}
		resume()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []uint16
		for _, f := range d.rest() {
			if f.ID() == st.ID() {
				got = append(got, f.Flags())
			}
		}
		want := []uint16{flagFIN}
		if late {
			want = append(want, flagRST) // behind the end, where it harms nobody
		}
		if !slices.Equal(got, want) {
			t.Errorf("got frames with flags %v, want %v", got, want)
		}
		if late {
			return
		}
		d.Data(flagACK, st.ID(), "an answer that nobody reads")
		d.Send(typeData, flagFIN, st.ID(), 0)
		time.Sleep(time.Minute)
		if _, err := st.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("got %v of a Read, want that this side has closed it", err)
		}
		if err := st.Finish(); err != nil {
			t.Error(err)
		}
		for _, f := range d.rest() {
			if f.ID() == st.ID() && f.Flags()&flagRST != 0 {
				t.Errorf("got %v, want no reset", f)
			}
		}
	})
}

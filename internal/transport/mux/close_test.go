package mux

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// lateConn is a connection whose Read finds out late that it was closed, as on a machine
// that has much else to do.
type lateConn struct {
	net.Conn
	late chan struct{}
}

func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !isDeadline(err) {
		<-c.late
	}
	return n, err
}

// TestCloseWakesReadersOnce closes a session whose reading goroutine ends late. Meanwhile the
// readers of its substreams wait: one that runs in circles would make a timer each time.
func TestCloseWakesReadersOnce(t *testing.T) {
	a, b := net.Pipe()
	c := &lateConn{Conn: a, late: make(chan struct{})}
	client, server := wrap(t, c, true, Config{}), wrap(t, b, false, Config{})
	go server.Accept()
	st, err := client.Open()
	if err != nil {
		t.Fatal(err)
	}
	st.SetReadDeadline(time.Now().Add(time.Hour))
	read, closed := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := st.Read(make([]byte, 1))
		read <- err
	}()
	go func() {
		defer close(closed)
		client.Close()
	}()
	<-client.Done()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	time.Sleep(50 * time.Millisecond)
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 2000 {
		t.Errorf("got %d allocations while the session ends, want hardly any", n)
	}
	close(c.late)
	if err := <-read; err == nil {
		t.Error("got no error from Read after the end")
	}
	<-closed
}

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	service "github.com/coreos/go-systemd/v22/daemon"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// manager is the service manager that started this program: systemd or a program with its
// protocol. Without one, its methods do nothing.
type manager struct{ logger *slog.Logger }

func (m manager) tell(lines ...string) {
	if err := notify(strings.Join(lines, "\n")); err != nil {
		m.logger.Warn("the service manager cannot be told", "err", err)
	}
}

// notifyTimeout is how long a service manager that reads nothing may hold the node up, for each
// text.
const notifyTimeout = 500 * time.Millisecond

// notify sends a text to the socket of the service manager, if there is one.
func notify(text string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(text))
	return err
}

func (m manager) status(text string) { m.tell("STATUS=" + inspect.Escape(text)) }

// ready reports that the node has started or finished a reload.
func (m manager) ready(text string) {
	m.tell(service.SdNotifyReady, "STATUS="+inspect.Escape(text))
}

func (m manager) reloading() {
	m.tell(service.SdNotifyReloading, fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()), "STATUS=reading the settings again")
}

// stopping reports that the node is stopping, and how long that may take.
func (m manager) stopping(drain time.Duration) {
	most := drain + 3*stopTimeout // one of the three is for the node's store
	m.tell(service.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", most.Microseconds()), "STATUS=finishing accepted messages")
}

// watchdog notifies the service manager that the node works, twice in the requested
// interval, until ctx ends. It does not notify it about a node that does not work, which the
// manager then restarts. A node that is stopping has its own time limit.
func (d *daemon) watchdog(ctx context.Context) {
	every, err := service.SdWatchdogEnabled(false)
	if err != nil {
		d.logger.Warn("the watchdog cannot be used", "err", err)
	}
	if every <= 0 {
		return
	}
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		d.guard(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// guard is one check of the watchdog.
func (d *daemon) guard(ctx context.Context) {
	if reasons := d.unhealthy(ctx); len(reasons) > 0 && !d.stopping.Load() {
		d.logger.Error("the node does not work", "reasons", strings.Join(reasons.Texts(), ", "))
		return
	}
	d.manager.tell(service.SdNotifyWatchdog)
}

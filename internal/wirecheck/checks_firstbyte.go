package wirecheck

import (
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

func firstByteChecks() []Check {
	return []Check{
		{
			Name: "first-byte.right", Rules: "comms 21; V 1", Title: "the network's byte is taken, and not answered",
			run: rightByte,
		},
		{
			Name: "first-byte.wrong", Rules: "comms 22", Title: "another byte: closed with nothing sent",
			run: wrongByte,
		},
		{
			Name: "first-byte.liveness", Rules: "comms 25, 26", Title: "a7: closed with nothing sent, or lines echoed",
			run: liveness,
		},
		{
			Name: "first-byte.silence", Rules: "comms 23", Title: "no byte for 6 s: closed with nothing sent",
			slow: true, run: noFirstByte,
		},
	}
}

func rightByte(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	if err := w.send(p.wireByte()); err != nil {
		return err
	}
	got, ended := drain(w, quiet)
	switch {
	case len(got) > 0:
		return differsAt("what it sent", 0, "no answer to the first byte", "%s", around(got, 0))
	case ended:
		return differs("an open connection after the byte", "its end: the node has another network or release than %s %s", p.Network, p.Release)
	}
	if err := w.send(p.message1()...); err != nil {
		return err
	}
	got, ended = drainUntil(w, patience)
	if len(got) == 0 && ended {
		return differs("an answer to Noise message 1", "the end of the connection: the node has another network or release than %s %s", p.Network, p.Release)
	}
	return compare("what it sent", []byte{0, 96}, got[:min(len(got), 2)])
}

// otherByte belongs to no network, now or later: spec: comms 3.2.
const otherByte = 0xfe

func wrongByte(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	if err := w.send(append([]byte{otherByte}, p.message1()...)...); err != nil {
		return err
	}
	return w.silentEnd(patience)
}

func liveness(p *probe) error {
	const line = "pingpong\n"
	w, err := p.dial()
	if err != nil {
		return err
	}
	if err := w.send(append([]byte{protocol.LivenessByte}, line...)...); err != nil {
		return err
	}
	got, ended := drainUntil(w, patience)
	if len(got) == 0 && ended {
		p.note = "liveness is off"
		return nil
	}
	if err := compare("what it sent", []byte(line), got); err != nil {
		return err
	}
	p.note = "liveness is on"
	return nil
}

func noFirstByte(p *probe) error {
	w, err := p.dial()
	if err != nil {
		return err
	}
	return w.silentEndAfter(6 * time.Second)
}

package wirecheck

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func muxChecks() []Check {
	checks := []Check{
		{Name: "mux.ping", Rules: "comms 61", Title: "a ping is answered with its value and ACK", run: muxPing},
		{Name: "mux.unasked", Rules: "comms 61", Title: "no pong that nobody asked for", run: muxUnasked},
		{Name: "mux.own-ids", Rules: "comms 60", Title: "the substreams that it opens are even", run: muxOwnIDs},
		{Name: "mux.parity", Rules: "comms 60", Title: "a substream of ours with an even id ends the connection", run: muxParity},
		{Name: "mux.syn-forms", Rules: "comms 65", Title: "SYN on data and on a window update opens a substream", run: muxSynForms},
		{Name: "mux.half-close", Rules: "comms 65, 143", Title: "our FIN on a data frame is answered at once", run: muxHalfClose},
		{Name: "mux.fin-form", Rules: "comms 143", Title: "its FIN is an empty data frame", run: muxFinForm},
		{Name: "mux.fin-window", Rules: "comms 65, 143", Title: "our FIN on a window update is understood", run: muxFinWindow},
		{Name: "mux.reset", Rules: "comms 65, 68", Title: "our RST ends the substream and nothing else", run: muxReset},
		{Name: "mux.unknown-stream", Rules: "comms 65", Title: "frames for unknown substreams are ignored", run: muxUnknownStream},
		{Name: "mux.goaway", Rules: "comms 67", Title: "our GoAway ends the connection", run: muxGoAway},
		{Name: "mux.eof", Rules: "comms 67", Title: "the end of our half ends the connection", run: muxEOF},
	}
	for i := range checks {
		checks[i].needs = needsSession
	}
	checks[0].needs, checks[1].needs = needsIdentities, needsIdentities // they are the session
	return checks
}

func muxPing(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	for range 3 {
		if err := s.ping(); err != nil {
			return err
		}
	}
	return nil
}

func muxUnasked(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	first, err := s.Ping()
	if err != nil {
		return err
	}
	second, err := s.Ping()
	if err != nil {
		return err
	}
	for _, value := range []uint32{first, second} {
		if err := s.pong(value); err != nil {
			return err
		}
	}
	return s.lives()
}

func muxOwnIDs(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.lives(); err != nil {
		return err
	}
	opened := s.Opened()
	if len(opened) == 0 {
		return inapplicable("it has opened no substream")
	}
	for _, id := range opened {
		if id%2 != 0 || id == 0 {
			return differs("even ids, as the server's", "substream %d", id)
		}
	}
	return nil
}

func muxParity(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.open(2, propose(0, unknownID)...); err != nil {
		return err
	}
	return s.dies()
}

func muxSynForms(p *probe) error {
	s, want, err := p.negotiated()
	if err != nil {
		return err
	}
	if err := s.Send(rawpeer.TypeWindow, rawpeer.SYN, 3, 0); err != nil {
		return err
	}
	if err := s.data(3, want...); err != nil {
		return err
	}
	return s.answers(3, want)
}

// half opens a messaging substream with one message on it and closes our half.
func (p *probe) half(kind byte) (*session, error) {
	s, err := p.connectMessaging()
	if err != nil {
		return nil, err
	}
	if err := s.open(1, append(propose(optimistic, messagingID), message("half")...)...); err != nil {
		return nil, err
	}
	if err := s.goesOn(1); err != nil {
		return nil, err
	}
	return s, s.Send(kind, rawpeer.FIN, 1, 0)
}

func muxHalfClose(p *probe) error {
	s, err := p.half(rawpeer.TypeData)
	if err != nil {
		return err
	}
	if err := s.ends(1, patience); err != nil {
		return err
	}
	p.note = "answered with " + how(s.Stream(1))
	return s.lives()
}

func muxFinForm(p *probe) error {
	s, err := p.half(rawpeer.TypeData)
	if err != nil {
		return err
	}
	if err := s.ends(1, patience); err != nil {
		return err
	}
	switch st := s.Stream(1); {
	case !st.FIN:
		return inapplicable("it ends substreams with a reset")
	case st.FINType != rawpeer.TypeData:
		return differsAt("the frame with FIN", 1, "type 0, data", "type %d, a window update", st.FINType)
	}
	return nil
}

func muxFinWindow(p *probe) error {
	if p.Release != protocol.Release6 {
		return inapplicable("release " + p.Release.String() + " notes it without a word")
	}
	s, err := p.half(rawpeer.TypeWindow)
	if err != nil {
		return err
	}
	return s.ends(1, patience)
}

func muxReset(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	for i, kind := range []byte{rawpeer.TypeData, rawpeer.TypeWindow} {
		id := uint32(2*i + 1)
		if err := s.open(id, propose(0, unknownID)...); err != nil {
			return err
		}
		if err := s.answers(id, refusal); err != nil {
			return err
		}
		if err := s.Send(kind, rawpeer.RST, id, 0); err != nil {
			return err
		}
		if err := s.lives(); err != nil {
			return after(fmt.Sprintf("a reset of type %d", kind), err)
		}
	}
	return nil
}

func muxUnknownStream(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		kind  byte
		flags uint16
		body  []byte
	}{{rawpeer.TypeData, 0, []byte("hello")}, {rawpeer.TypeWindow, 0, nil}, {rawpeer.TypeData, rawpeer.FIN, nil}, {rawpeer.TypeData, rawpeer.RST, nil}} {
		if err := s.Send(f.kind, f.flags, nobody, uint32(len(f.body)), f.body...); err != nil {
			return err
		}
	}
	return s.lives()
}

func muxGoAway(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.ping(); err != nil {
		return err
	}
	if err := s.Send(rawpeer.TypeGoAway, 0, 0, 0); err != nil {
		return err
	}
	return s.closes()
}

func muxEOF(p *probe) error {
	s, err := p.connect()
	if err != nil {
		return err
	}
	if err := s.ping(); err != nil {
		return err
	}
	half, ok := s.wire.Conn.(interface{ CloseWrite() error })
	if !ok {
		return inapplicable("this kind of connection has no halves")
	}
	if err := half.CloseWrite(); err != nil {
		return &setupError{"close", err}
	}
	return s.closes()
}

package seednode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
)

// Tag says what a datagram is.
type Tag uint32

// The tags of the protocol.
const (
	ReqPing Tag = iota
	ReqStore
	ReqFindNode
	ReqFindValue
	ResPong
	ResListPeers
	ResValueFound
)

// Peer is an entry of a list.
type Peer struct {
	Address string
	ID      []byte
}

// Datagram is a message as it is on the wire. Its ids may have any length.
type Datagram struct {
	MessageID, Sender []byte
	Tag               Tag
	Key, Value        []byte // of those tags that have them; Key also is a target
	Peers             []Peer
}

// errDatagram reports bytes that the program cannot read.
var errDatagram = errors.New("seednode: no datagram")

// Encode returns the bytes of d.
func (d Datagram) Encode() []byte {
	var out bytes.Buffer
	number := func(v any) { _ = binary.Write(&out, binary.LittleEndian, v) } // a buffer takes everything
	blob := func(b []byte) {
		number(uint64(len(b)))
		out.Write(b)
	}
	blob(d.MessageID)
	blob(d.Sender)
	number(uint32(d.Tag))
	switch d.Tag {
	case ReqFindNode, ReqFindValue:
		blob(d.Key)
	case ReqStore, ResValueFound:
		blob(d.Key)
		blob(d.Value)
	case ResListPeers:
		number(uint64(len(d.Peers)))
		for _, p := range d.Peers {
			blob([]byte(p.Address))
			blob(p.ID)
		}
	}
	return out.Bytes()
}

// Decode reads a datagram; bytes behind it are ignored.
func Decode(b []byte) (Datagram, error) {
	in := source{bytes.NewReader(b)}
	d, err := in.datagram()
	if err != nil {
		return Datagram{}, errDatagram
	}
	return d, nil
}

type source struct{ *bytes.Reader }

func (s source) datagram() (d Datagram, err error) {
	if d.MessageID, err = s.blob(); err != nil {
		return d, err
	}
	if d.Sender, err = s.blob(); err != nil {
		return d, err
	}
	if err = binary.Read(s, binary.LittleEndian, &d.Tag); err != nil {
		return d, err
	}
	switch d.Tag {
	case ReqPing, ResPong:
	case ReqFindNode, ReqFindValue:
		d.Key, err = s.blob()
	case ReqStore, ResValueFound:
		if d.Key, err = s.blob(); err == nil {
			d.Value, err = s.blob()
		}
	case ResListPeers:
		d.Peers, err = s.peers()
	default:
		err = errDatagram
	}
	return d, err
}

func (s source) blob() ([]byte, error) {
	var size uint64
	if err := binary.Read(s, binary.LittleEndian, &size); err != nil {
		return nil, err
	}
	if size > uint64(s.Len()) {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, size)
	_, err := io.ReadFull(s, b)
	return b, err
}

func (s source) peers() ([]Peer, error) {
	var count uint64
	if err := binary.Read(s, binary.LittleEndian, &count); err != nil {
		return nil, err
	}
	var list []Peer
	for ; count > 0; count-- { // ends with the datagram, however large the count
		address, err := s.blob()
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(address) {
			return nil, errDatagram
		}
		id, err := s.blob()
		if err != nil {
			return nil, err
		}
		list = append(list, Peer{string(address), id})
	}
	return list, nil
}

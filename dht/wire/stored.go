package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// StoredRequest asks a node for the messages that it keeps for the requester (spec:
// dht 8.4).
type StoredRequest struct {
	Since     uint64 // Unix seconds; 0 is everything
	RequestID uint32
	Limit     uint32 // 0 is the server's maximum
}

// Append appends the encoded request.
func (r StoredRequest) Append(dst []byte) []byte {
	dst = appendVarint(dst, 1, r.Since)
	dst = appendVarint(dst, 2, uint64(r.RequestID))
	return appendVarint(dst, 3, uint64(r.Limit))
}

var requestFields = schema{1: protowire.VarintType, 2: protowire.VarintType, 3: protowire.VarintType}

// DecodeStoredRequest decodes a request. The error is [ErrBody].
func DecodeStoredRequest(b []byte) (r StoredRequest, err error) {
	err = requestFields.read(b, fieldBudget(MaxFields), func(f field) error {
		switch f.number {
		case 1:
			r.Since = f.varint
		case 2:
			r.RequestID = uint32(f.varint)
		case 3:
			r.Limit = uint32(f.varint)
		}
		return nil
	})
	if err != nil {
		return StoredRequest{}, fmt.Errorf("%w: request for stored messages: %w", ErrBody, err)
	}
	return r, nil
}

// StoredMessage is one message that a node kept. A decoded one is unchecked;
// [StoredMessage.Envelope] checks its header.
type StoredMessage struct {
	StoredAt uint64 // Unix seconds
	Version  uint32
	Body     []byte

	header    rawHeader
	hasHeader bool
}

// NewStoredMessage returns the envelope as a message that was stored at a Unix time
// in seconds.
func NewStoredMessage(e Envelope, at uint64) StoredMessage {
	m := StoredMessage{StoredAt: at, Version: e.Header.Version, Body: e.Body, hasHeader: true}
	m.header.Header, m.header.hasDestination = e.Header, true
	m.header.destination = e.Header.Destination.Key[:]
	return m
}

// Envelope returns the message as it was received by the node that stored it. It
// fails for the headers that [DecodeEnvelope] refuses.
func (m *StoredMessage) Envelope() (Envelope, error) {
	raw := rawEnvelope{header: m.header, hasHeader: m.hasHeader, body: m.Body}
	return raw.check()
}

// StoredResponse answers a [StoredRequest] (spec: dht 8.4).
type StoredResponse struct {
	Messages  []StoredMessage
	RequestID uint32
	Type      int32 // 0: messages for the requester. Other values are read and never written
}

// Append appends the encoded response.
func (r *StoredResponse) Append(dst []byte) []byte {
	for i := range r.Messages {
		dst = appendItem(dst, 1, r.Messages[i].append(nil))
	}
	dst = appendVarint(dst, 2, uint64(r.RequestID))
	return appendVarint(dst, 3, uint64(int64(r.Type)))
}

func (m *StoredMessage) append(dst []byte) []byte {
	dst = appendVarint(dst, 1, m.StoredAt)
	dst = appendVarint(dst, 2, uint64(m.Version))
	if m.hasHeader {
		dst = appendItem(dst, 3, m.header.Append(nil))
	}
	return appendBytes(dst, 4, m.Body)
}

var (
	responseFields = schema{1: protowire.BytesType, 2: protowire.VarintType, 3: protowire.VarintType}
	storedFields   = schema{1: protowire.VarintType, 2: protowire.VarintType, 3: protowire.BytesType, 4: protowire.BytesType}
)

// DecodeStoredResponse decodes a response with at most [MaxItems] messages. The error is
// [ErrBody].
func DecodeStoredResponse(b []byte) (r StoredResponse, err error) {
	items, left := budget(MaxItems), fieldBudget(fieldsOfStored)
	err = responseFields.read(b, left, func(f field) error {
		switch f.number {
		case 1:
			if err := items.spend(); err != nil {
				return err
			}
			m, err := decodeStored(f.bytes, left)
			r.Messages = append(r.Messages, m)
			return err
		case 2:
			r.RequestID = uint32(f.varint)
		case 3:
			r.Type = int32(f.varint)
		}
		return nil
	})
	if err != nil {
		return StoredResponse{}, fmt.Errorf("%w: stored messages: %w", ErrBody, err)
	}
	return r, nil
}

// StoredResponseTo returns the RequestID of an encoded response, without decoding the messages;
// 0 if it has none, or is malformed before it.
func StoredResponseTo(b []byte) (id uint32) {
	_ = responseFields.read(b, fieldBudget(fieldsOfStored), func(f field) error {
		if f.number == 2 {
			id = uint32(f.varint)
		}
		return nil
	})
	return id
}

func decodeStored(b []byte, left *budget) (m StoredMessage, err error) {
	err = storedFields.read(b, left, func(f field) error {
		switch f.number {
		case 1:
			m.StoredAt = f.varint
		case 2:
			m.Version = uint32(f.varint)
		case 3:
			m.hasHeader = true
			return m.header.merge(f.bytes, left)
		case 4:
			m.Body = f.bytes
		}
		return nil
	})
	return m, err
}

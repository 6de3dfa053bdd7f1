// Package why is how two nodes of this library tell each other what they remember of their attempts to
// connect, so that somebody sees from one of them what both ends know (spec: V 44).
package why

import (
	"errors"
	"fmt"
	"io"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protofield"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ID is the protocol. Each request has a substream of its own: one empty frame there, one frame back.
//
//	message Answer { uint32 since = 1; repeated Record records = 2; }
//	message Record { uint32 kind = 1; string code = 2; string detail = 3; bytes address = 4;
//	                 uint32 count = 5; uint32 first = 6; uint32 last = 7; }
//
// since is for how many seconds the node remembers; first and last are how many seconds ago something was.
const ID protocol.ID = "gamelan/why/1"

const (
	// MaxBody is the size of a frame's payload, in bytes.
	MaxBody = 8 << 10
	// MaxRecords is how many records an answer has at most.
	MaxRecords = 16
	// maxCode and maxDetail are the lengths of the texts of a record, in bytes, and maxAddress that of
	// the address.
	maxCode, maxDetail, maxAddress = 32, 120, 256
)

// ErrUndecodable reports a payload that is no answer. It comes in a [protocol.Violation].
var ErrUndecodable = errors.New("why: undecodable answer")

// Kind is what a node remembers of another one.
type Kind uint32

// The kinds. Records of others are skipped.
const (
	Came    Kind = 1 // a connection of the other node was set up
	Refused Kind = 2 // a connection of the other node, or of its IP address, was refused, or its set-up has failed
	Reached Kind = 3 // the other node was dialled, and a connection set up
	Missed  Kind = 4 // the other node was dialled, and not reached
	Ended   Kind = 5 // a connection was ended by the node that remembers it

	lastKind = Ended
)

// The codes of refused connections, beside those of package inspect/codes.
const (
	CodeLimit    = "limit"         // Record.Detail names the setting and its value
	CodeBanned   = "banned"        // the other node is banned
	CodeUnlisted = "not_admitted"  // only others are admitted
	CodeSecret   = "no_secret"     // of the private network
	CodeNetwork  = "other_network" // by its first byte
	CodeDraining = "draining"      // the node makes no new connections
	CodeSetup    = "setup"         // the other node broke a rule, in the stage of Record.Detail
)

// Texts say in words why a connection was refused, by the codes above.
var Texts = map[string]string{
	CodeLimit:    "too many connections",
	CodeBanned:   "banned",
	CodeUnlisted: "only listed peers are admitted",
	CodeSecret:   "without the secret of the private network",
	CodeNetwork:  "of another network",
	CodeDraining: "it makes no new connections",
	CodeSetup:    "a rule was broken in the set-up",
}

// CodeNoAnswer is the code of a dial to which nothing answered, as in package inspect/codes.
const CodeNoAnswer = "dial_no_answer"

// Record is something that happened once or several times.
type Record struct {
	Kind
	Code    string       // why: of package inspect/codes, or one of the words of this package; "" if it needs none
	Detail  string       // what the code does not say, in words; often ""
	Address ma.Multiaddr // that was dialled; nil for the other kinds
	Count   uint32
	First   time.Duration // ago
	Last    time.Duration // ago
}

// Answer is what a node remembers.
type Answer struct {
	Since   time.Duration // for how long
	Records []Record      // the last one first
}

const (
	answerSince, answerRecord                           = 1, 2
	recordKind, recordCode, recordDetail, recordAddress = 1, 2, 3, 4
	recordCount, recordFirst, recordLast                = 5, 6, 7
)

// AppendAsk appends the frame of a request.
func AppendAsk(dst []byte) []byte { return frame.Append(dst, nil) }

// ReadAsk reads a request. What it holds is for later releases.
func ReadAsk(r io.Reader) error {
	_, err := read(r)
	return err
}

// AppendAnswer appends the frame of an answer, with as many records as there is room for.
func AppendAnswer(dst []byte, a Answer) []byte {
	body := appendNumber(nil, answerSince, seconds(a.Since))
	for _, r := range a.Records[:min(len(a.Records), MaxRecords)] {
		inner := appendRecord(nil, r)
		with := protowire.AppendBytes(protowire.AppendTag(body, answerRecord, protowire.BytesType), inner)
		if len(with) > MaxBody {
			break
		}
		body = with
	}
	return frame.Append(dst, body)
}

func appendRecord(dst []byte, r Record) []byte {
	dst = appendNumber(dst, recordKind, uint64(r.Kind))
	dst = appendText(dst, recordCode, cut(r.Code, maxCode))
	dst = appendText(dst, recordDetail, cut(r.Detail, maxDetail))
	if raw := r.Address.Bytes(); len(raw) > 0 && len(raw) <= maxAddress {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, recordAddress, protowire.BytesType), raw)
	}
	dst = appendNumber(dst, recordCount, uint64(r.Count))
	dst = appendNumber(dst, recordFirst, seconds(r.First))
	return appendNumber(dst, recordLast, seconds(r.Last))
}

func appendNumber(dst []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), n)
}

func appendText(dst []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

func seconds(d time.Duration) uint64 { return uint64(max(0, d) / time.Second) }

// cut returns the beginning of a text that this package may send: printable ASCII.
func cut(s string, most int) string {
	b := make([]byte, 0, min(len(s), most))
	for _, c := range []byte(s) {
		if len(b) == most {
			break
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		b = append(b, c)
	}
	return string(b)
}

// ReadAnswer reads an answer. An error of the stream is returned as it is; others are a
// [protocol.Violation].
func ReadAnswer(r io.Reader) (Answer, error) {
	body, err := read(r)
	if err != nil {
		return Answer{}, err
	}
	return DecodeAnswer(body)
}

func read(r io.Reader) ([]byte, error) {
	frames := frame.NewReader(r, MaxBody)
	defer frames.Release()
	n, err := frames.Next()
	if errors.Is(err, frame.ErrTooLong) {
		return nil, undecodable(err)
	}
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	return body, frames.Body(body)
}

// DecodeAnswer decodes the payload of an answer. Unknown fields, records of an unknown kind, and those
// above [MaxRecords] are skipped.
func DecodeAnswer(body []byte) (a Answer, err error) {
	err = protofield.Each(body, func(f protofield.Field) error {
		switch f.Number {
		case answerSince:
			a.Since = ago(f.Varint)
		case answerRecord:
			r, err := decodeRecord(f.Bytes)
			if err != nil {
				return err
			}
			if r.Kind >= Came && r.Kind <= lastKind && r.Count > 0 && len(a.Records) < MaxRecords {
				a.Records = append(a.Records, r)
			}
		}
		return nil
	})
	if err != nil {
		return Answer{}, undecodable(err)
	}
	return a, nil
}

func decodeRecord(body []byte) (r Record, err error) {
	err = protofield.Each(body, func(f protofield.Field) error {
		switch f.Number {
		case recordKind:
			r.Kind = Kind(min(f.Varint, 1<<32-1))
		case recordCode:
			r.Code, err = text(f.Bytes, maxCode)
			return err
		case recordDetail:
			r.Detail, err = text(f.Bytes, maxDetail)
			return err
		case recordAddress:
			if len(f.Bytes) > maxAddress {
				return fmt.Errorf("address of %d bytes", len(f.Bytes))
			}
			r.Address, err = ma.NewMultiaddrBytes(f.Bytes)
			return err
		case recordCount:
			r.Count = uint32(min(f.Varint, 1<<32-1))
		case recordFirst:
			r.First = ago(f.Varint)
		case recordLast:
			r.Last = ago(f.Varint)
		}
		return nil
	})
	return r, err
}

// text checks that a text of a peer can be shown to people.
func text(b []byte, most int) (string, error) {
	if len(b) > most {
		return "", fmt.Errorf("text of %d bytes", len(b))
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("byte 0x%02x in a text", c)
		}
	}
	return string(b), nil
}

// ago returns a number of seconds of a peer, at most about 68 years.
func ago(n uint64) time.Duration { return time.Duration(min(n, 1<<31)) * time.Second }

func undecodable(err error) error {
	return protocol.Violated("why", protocol.BanShort, fmt.Errorf("%w: %w", ErrUndecodable, err))
}

package anchors

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/flynn/noise"
	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"golang.org/x/crypto/blake2b"
)

const (
	maxFrame = 65535 // of a Noise message, tag included
	maxPlain = maxFrame - 16
)

// channel is Noise over a connection with nothing around it: 2-byte length and
// ciphertext, one socket write per Write, a read buffer of 4 KiB. It is what
// the multiplexers of the path cases run on.
type channel struct {
	net.Conn
	r     *bufio.Reader
	send  *noise.CipherState
	recv  *noise.CipherState
	out   []byte // frames of the Write in hand
	frame []byte // ciphertext, decrypted in place
	plain []byte // what of it was not yet read
}

// channelPair gives both ends of a channel over loopback TCP, handshake done.
func channelPair() (dialled, accepted *channel, err error) {
	a, b, err := loopback()
	if err != nil {
		return nil, nil, err
	}
	type end struct {
		c   *channel
		err error
	}
	other := make(chan end, 1)
	go func() {
		c, err := handshake(b, false)
		other <- end{c, err}
	}()
	dialled, err = handshake(a, true)
	far := <-other
	if err := errors.Join(err, far.err); err != nil {
		return nil, nil, errors.Join(err, a.Close(), b.Close())
	}
	return dialled, far.c, nil
}

// handshake runs Noise XX over ristretto255 with a new static key.
func handshake(c net.Conn, initiator bool) (*channel, error) {
	suite := noise.NewCipherSuite(ristrettoDH{}, noise.CipherChaChaPoly, noise.HashBLAKE2b)
	key, err := suite.GenerateKeypair(rand.Reader)
	if err != nil {
		return nil, err
	}
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeXX, Initiator: initiator, StaticKeypair: key,
	})
	if err != nil {
		return nil, err
	}
	ch := &channel{Conn: c, r: bufio.NewReaderSize(c, 4<<10)}
	for step := range 3 {
		var first, second *noise.CipherState
		if (step%2 == 0) == initiator {
			var msg []byte
			if msg, first, second, err = hs.WriteMessage(make([]byte, 2), nil); err == nil {
				binary.BigEndian.PutUint16(msg, uint16(len(msg)-2))
				_, err = c.Write(msg)
			}
		} else if err = ch.readFrame(); err == nil {
			_, first, second, err = hs.ReadMessage(nil, ch.frame)
		}
		if err != nil {
			return nil, fmt.Errorf("handshake message %d: %w", step+1, err)
		}
		ch.send, ch.recv = first, second
	}
	if !initiator {
		ch.send, ch.recv = ch.recv, ch.send
	}
	return ch, nil
}

func (c *channel) readFrame() error {
	header, err := c.r.Peek(2)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(header))
	if _, err := c.r.Discard(2); err != nil {
		return err
	}
	if cap(c.frame) < n {
		c.frame = make([]byte, n, max(n, 1<<10))
	}
	c.frame = c.frame[:n]
	_, err = io.ReadFull(c.r, c.frame)
	return err
}

func (c *channel) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		if err := c.readFrame(); err != nil {
			return 0, err
		}
		var err error
		if c.plain, err = c.recv.Decrypt(c.frame[:0], nil, c.frame); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *channel) Write(p []byte) (int, error) {
	c.out = c.out[:0]
	for rest := p; len(rest) > 0; {
		part := rest[:min(len(rest), maxPlain)]
		rest = rest[len(part):]
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(part)+16))
		var err error
		if c.out, err = c.send.Encrypt(c.out, nil, part); err != nil {
			return 0, err
		}
	}
	if _, err := c.Conn.Write(c.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ristrettoDH is Diffie-Hellman over ristretto255 by curve25519-voi, the
// shared point hashed with its domain in front.
type ristrettoDH struct{}

func (ristrettoDH) DHLen() int     { return 32 }
func (ristrettoDH) DHName() string { return "25519" }

func (ristrettoDH) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	wide := make([]byte, 64)
	if _, err := io.ReadFull(random, wide); err != nil {
		return noise.DHKey{}, err
	}
	s, err := scalar.NewFromBytesModOrderWide(wide)
	if err != nil {
		return noise.DHKey{}, err
	}
	private := make([]byte, 32)
	if err := s.ToBytes(private); err != nil {
		return noise.DHKey{}, err
	}
	public := curve.NewRistrettoPoint().MulBasepoint(curve.RISTRETTO_BASEPOINT_TABLE, s)
	return noise.DHKey{Private: private, Public: encode(public)}, nil
}

func (ristrettoDH) DH(private, public []byte) ([]byte, error) {
	s, err := scalar.NewFromCanonicalBytes(private)
	if err != nil {
		return nil, err
	}
	point := curve.NewRistrettoPoint()
	if err := point.UnmarshalBinary(public); err != nil {
		return nil, err
	}
	shared := encode(point.Mul(point, s))
	const tag = "com.tari.comms.core.v0.noise.dh"
	preimage := binary.LittleEndian.AppendUint64(nil, uint64(len(tag)))
	preimage = append(preimage, tag...)
	preimage = binary.LittleEndian.AppendUint64(preimage, uint64(len(shared)))
	sum := blake2b.Sum256(append(preimage, shared...))
	return sum[:], nil
}

func encode(p *curve.RistrettoPoint) []byte {
	c := curve.NewCompressedRistretto().SetRistrettoPoint(p)
	return c[:]
}

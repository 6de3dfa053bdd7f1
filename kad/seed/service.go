package seed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad"
)

// The defaults of [New].
const (
	BucketSize     = 20
	Concurrency    = 3
	PeerTimeout    = 15 * time.Minute
	MessageTimeout = 3 * time.Second
	StorageTimeout = 60 * time.Minute
)

// Errors of calls at the wrong time, and of a key under which nothing was found.
var (
	ErrNotRunning     = kad.ErrNotRunning
	ErrAlreadyRunning = kad.ErrAlreadyRunning
	ErrNoGateway      = kad.ErrNoGateway
	ErrNotFound       = kad.ErrNotFound
)

// Hasher makes ids and keys. All nodes of a network must use the same one.
type Hasher = kad.Hasher

// SHA1 is the hasher that the network uses.
var SHA1 = kad.SHA1

// Service is a node of the overlay Seed. Get one from [New]. Its methods may be called from
// any goroutine.
type Service struct {
	config kad.Config

	mu       sync.Mutex
	gateways []kad.Network
	host     *kad.Standalone // nil unless running
	client   *kad.Client
}

// New returns a service that is not running. A nil hasher is [SHA1], and a number that is 0
// stands for its default: 20 contacts in a bucket, 3 requests of a lookup at a time, 15
// minutes, 3 seconds, 60 minutes. Start fails for numbers that cannot work.
//
// A peer that was silent for peerTimeout is in doubt, an answer may take msgTimeout, and a
// value of somebody else is stored for storageTimeout. Peers are probed more often than
// every 15 minutes and an answer may always take 3 seconds, so that the first two only
// matter as far as they are checked to be positive.
func New(hasher Hasher, bucketSize, concurrency int, peerTimeout, msgTimeout, storageTimeout time.Duration) *Service {
	if hasher == nil {
		hasher = SHA1
	}
	limits := values.DefaultLimits(kad.Seed)
	limits.MaxLife = cmp.Or(storageTimeout, StorageTimeout)
	c := kad.Config{Name: "seed", Overlay: kad.Seed, Hasher: hasher, AllowPrivate: true, Limits: &limits}
	c.Params.K, c.Params.Alpha = cmp.Or(bucketSize, BucketSize), cmp.Or(concurrency, Concurrency)
	c.Params.Publish = limits.MaxLife * 5 / 6 // with 10 % of chance before the value expires elsewhere
	if min(cmp.Or(peerTimeout, PeerTimeout), cmp.Or(msgTimeout, MessageTimeout), limits.MaxLife) < 0 {
		c.Params.K = -1 // Start says that it cannot work
	}
	return &Service{config: c}
}

// RegisterGateway adds a network, such as one of [UDP]. The service keeps it for all
// later starts. It fails with [ErrAlreadyRunning].
func (s *Service) RegisterGateway(n kad.Network) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return ErrAlreadyRunning
	}
	s.gateways = append(s.gateways, n)
	return nil
}

// Start makes a node with a random id and returns when its gateways work. It fails with
// [ErrAlreadyRunning], [ErrNoGateway], an error that matches [kad.ErrConfig], or that of a
// gateway. ctx bounds the start, not the life of the node.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.client != nil:
		return ErrAlreadyRunning
	case len(s.gateways) == 0:
		return ErrNoGateway
	}
	c := s.config
	c.Networks = s.gateways
	if err := c.Validate(); err != nil {
		return err
	}
	host, err := kad.NewStandalone(kad.StandaloneOptions{})
	if err != nil {
		return fmt.Errorf("seed: start: %w", err)
	}
	client, err := kad.Start(ctx, host, c)
	if err != nil {
		return errors.Join(fmt.Errorf("seed: start: %w", err), host.Close(context.WithoutCancel(ctx)))
	}
	s.host, s.client = host, client
	return nil
}

// IsRunning reports whether the service was started and not stopped.
func (s *Service) IsRunning() bool {
	_, err := s.running()
	return err == nil
}

func (s *Service) running() (*kad.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil, ErrNotRunning
	}
	return s.client, nil
}

// Client returns the client that does the work, for what this package does not have. It
// fails with [ErrNotRunning].
func (s *Service) Client() (*kad.Client, error) { return s.running() }

// Connect asks the node at a multiaddr, such as /ip4/192.0.2.7/udp/12345, for peers, and
// returns its id. Each of the two knows the other then. It fails with [ErrNotRunning], an
// error for text that is no address, or one that matches [kad.ErrUnreachable].
func (s *Service) Connect(ctx context.Context, address string) (kad.ID, error) {
	c, err := s.running()
	if err != nil {
		return kad.ID{}, err
	}
	who, err := c.Connect(ctx, address)
	return who.ID, closed(err)
}

// Query returns the value of a key: what this node stores, or what it finds. It fails with
// [ErrNotRunning], with [ErrNotFound], also if no other node is known, with [kad.ErrIsolated] if
// none of those that are known answers, or with an error of the lookup.
func (s *Service) Query(ctx context.Context, key []byte) ([]byte, error) {
	c, err := s.running()
	if err != nil {
		return nil, err
	}
	k, err := c.Key(key)
	if err != nil {
		return nil, err
	}
	r, err := c.Get(ctx, k)
	switch {
	case errors.Is(err, kad.ErrNoPeers):
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	case err != nil:
		return nil, closed(err)
	}
	return r.Value, nil
}

// Save stores a value in this node and sends it to the nodes nearest to its key. It is sent
// again before others let it expire. While no other node answers it stays here, which is no error. A
// value that a gateway cannot carry is a [*kad.TooLarge].
func (s *Service) Save(ctx context.Context, key, value []byte) error {
	c, err := s.running()
	if err != nil {
		return err
	}
	_, err = c.PutOpaque(ctx, key, value)
	if errors.Is(err, kad.ErrNoPeers) || errors.Is(err, kad.ErrIsolated) {
		return nil
	}
	return closed(err)
}

// NumberOfKnownPeers returns how many peers are in the routing table.
func (s *Service) NumberOfKnownPeers() (int, error) {
	c, err := s.running()
	if err != nil {
		return 0, err
	}
	return c.View().Len(), nil
}

// Stop sends what Save has said to be sent and has not left yet, which takes two seconds at
// most, ends the node and frees its sockets. It fails with [ErrNotRunning], or names what has
// not ended before ctx.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	host := s.host
	s.host, s.client = nil, nil
	s.mu.Unlock()
	if host == nil {
		return ErrNotRunning
	}
	return host.Close(ctx)
}

// closed makes an error of a service that was stopped meanwhile say so.
func closed(err error) error {
	if errors.Is(err, kad.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return err
}

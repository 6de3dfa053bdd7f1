package protocol

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxTopic is the longest topic of a message, in bytes.
const MaxTopic = 64

// ErrBadTopic reports what is no topic of a message.
var ErrBadTopic = errors.New("protocol: a topic is 1 to 64 bytes of UTF-8 without control characters")

// CheckTopic returns an [ErrBadTopic] unless messages may have that topic.
func CheckTopic(topic string) error {
	bad := topic == "" || len(topic) > MaxTopic || !utf8.ValidString(topic)
	for _, r := range topic {
		bad = bad || unicode.IsControl(r)
	}
	if bad {
		return fmt.Errorf("%w: got %q", ErrBadTopic, topic)
	}
	return nil
}

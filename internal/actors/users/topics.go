package users

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// topicPrefix begins the names of the actors of topics, and of no others.
const topicPrefix = "topic-"

// isTopicName reports whether a name begins like that of an actor of a topic.
func isTopicName(name string) bool { return strings.HasPrefix(name, topicPrefix) }

// checkTopic returns an error if no actor may be registered for this topic. Otherwise it sets the actor's name.
func (x *extensions) checkTopic(m *Register) error {
	if err := protocol.CheckTopic(m.Topic); err != nil {
		return err
	}
	for _, reg := range x.room.registrations.list {
		switch {
		case reg.All:
			return fmt.Errorf("%w: messages of all topics go to the inbox; take them from there", actors.ErrProtocolTaken)
		case reg.Topic == m.Topic:
			return fmt.Errorf("%w: topic %q", actors.ErrProtocolTaken, m.Topic)
		}
	}
	m.Name = x.unused(topicPrefix + treeName(m.Topic))
	return nil
}

// MessagesActor returns the name of the actor that takes messages of a topic from the inbox, or those without one.
func MessagesActor(topic string) string {
	name := "messages"
	if topic == "" {
		return name
	}
	in := treeName(topic)
	if len(in) > MaxActorName/2 || in != topic { // others may have the same
		h := fnv.New32a()
		h.Write([]byte(topic))
		in = fmt.Sprintf("%.20s-%08x", in, h.Sum32())
	}
	return name + "-" + in
}

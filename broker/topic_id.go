package broker

import "github.com/zurau/zurau/broker/topic"

// topicID is a topic's id as the last controller told it; zero where it told none. The next controller asks, when a tool
// of before 2.8 has dropped the id from the topic's znode.
func (b *Broker) topicID(name string) (id topic.ID) {
	if t := b.metadata.Load().Topic(name); t != nil {
		id = t.ID
	}
	return id
}

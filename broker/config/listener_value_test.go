package config

import "testing"

func TestWhatWasConfiguredIsToldFromWhatIsDefault(t *testing.T) {
	b, _, err := New(map[string]string{"zookeeper.connect": "z", "listeners": "PLAINTEXT://:0",
		"socket.listen.backlog.size": "50", "listener.name.plaintext.max.connections": "7"})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Configured("socket.listen.backlog.size") || b.Configured("socket.receive.buffer.bytes") {
		t.Error("a default is not configured, and a configured default is")
	}
	if got := b.ListenerValue("PLAINTEXT", "max.connections"); got != "7" {
		t.Errorf("listener.name.plaintext.max.connections = %q", got)
	}
}

package producer

import (
	"fmt"
	"net"

	"github.com/IBM/sarama"
	"go.uber.org/zap"
)

// Dialer opens sarama's connections with the socket buffers asked for, and tells of servers that do not answer.
type Dialer struct {
	net.Dialer
	SendBuffer, ReceiveBuffer int // bytes; -1 leaves them to the system
	Failed                    func(addr string)
}

// Dial implements golang.org/x/net/proxy.Dialer.
func (d *Dialer) Dial(network, addr string) (net.Conn, error) {
	conn, err := d.Dialer.Dial(network, addr)
	if err != nil {
		if d.Failed != nil {
			d.Failed(addr)
		}
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if d.SendBuffer > 0 {
			_ = tcp.SetWriteBuffer(d.SendBuffer) // a wish, as in Java
		}
		if d.ReceiveBuffer > 0 {
			_ = tcp.SetReadBuffer(d.ReceiveBuffer)
		}
	}
	return conn, nil
}

// WarnUnreachable logs, in the words of Java's NetworkClient, that a server does not answer. client is what stands in
// the brackets; node is negative for a bootstrap server.
func WarnUnreachable(log *zap.Logger, client string, node int32, addr string) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) != nil {
		host = "" // Java prints name/address
	}
	log = log.Named("org.apache.kafka.clients.NetworkClient")
	log.Warn(fmt.Sprintf("[%s] Connection to node %d (%s/%s) could not be established. Broker may not be available.",
		client, max(node, -1), host, addr))
	if node < 0 {
		log.Warn(fmt.Sprintf("[%s] Bootstrap broker %s (id: -1 rack: null) disconnected", client, addr))
	}
}

// NodeAt is the id of the broker that client knows by its address, -1 for none.
func NodeAt(client sarama.Client, addr string) int32 {
	if client != nil {
		for _, b := range client.Brokers() {
			if b.Addr() == addr {
				return b.ID()
			}
		}
	}
	return -1
}

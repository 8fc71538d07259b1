package wire

import "net"

// Conn is one client's connection. Its exported methods may be called from any goroutine.
type Conn struct {
	nc       net.Conn
	listener Listener
	id       string
}

// Listener returns the name of the listener the client came in by, such as "PLAINTEXT".
func (c *Conn) Listener() string { return c.listener.Name }

// SecurityProtocol returns the protocol of that listener: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
func (c *Conn) SecurityProtocol() string { return c.listener.SecurityProtocol }

// LocalAddr is our end of the connection.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr is the client's end of the connection.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// ID names the connection as Kafka does: local host:port, remote host:port and a counter, joined by '-'.
func (c *Conn) ID() string { return c.id }

package config

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Listener is one entry of listeners or advertised.listeners: where to bind, or what clients are told.
type Listener struct {
	Name     string // upper case
	Host     string // without brackets; empty binds all interfaces
	Port     int32  // 0 binds a free one
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
}

// String is the form of the registration in ZooKeeper, NAME://host:port.
func (l Listener) String() string {
	return l.Name + "://" + net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
}

// Address is host:port for net.Listen and net.Dial.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) }

var endPoint = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseListener reads NAME://host:port, with brackets around an IPv6 host.
func parseListener(text string) (l Listener, ok bool) {
	m := endPoint.FindStringSubmatch(text)
	if m == nil {
		return Listener{}, false
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return Listener{}, false
	}
	return Listener{Name: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}, true
}

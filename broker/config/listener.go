package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
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
func (l Listener) String() string { return l.Name + "://" + l.Address() }

// Address is host:port for net.Listen and net.Dial.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) }

var endPoint = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseListener reads NAME://host:port, with brackets around an IPv6 host.
func parseListener(text string) (Listener, error) {
	m := endPoint.FindStringSubmatch(text)
	if m == nil {
		return Listener{}, fmt.Errorf("Unable to parse %s to a broker endpoint", text)
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return Listener{}, fmt.Errorf("For input string: %q", m[3])
	}
	return Listener{Name: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}, nil
}

// deriveListeners resolves listeners, their advertised twins, protocols and roles (configuration.md 2).
func (b *Broker) deriveListeners() (err error) {
	if b.ListenerSecurityProtocols, err = protocolMap(b.stringOf("listener.security.protocol.map", "")); err != nil {
		return err
	}
	if b.Listeners, err = b.endPoints(b.listenersText()); err != nil {
		return err
	}
	advertised := b.advertisedText()
	if b.AdvertisedListeners, err = b.endPoints(advertised); err != nil {
		return err
	}
	if err := checkPorts(b.Listeners, b.listenersText()); err != nil {
		return err
	}
	return b.deriveListenerRoles()
}

// listenersText is listeners, or what host.name and port of 1.1 say where it is unset.
func (b *Broker) listenersText() string {
	_, set := b.values["listeners"]
	_, host := b.values["host.name"]
	_, port := b.values["port"]
	if !set && (host || port) {
		return b.legacyListener("host.name", "port")
	}
	return b.stringOf("listeners", "")
}

// advertisedText is advertised.listeners, else what advertised.host.name and advertised.port of 1.1 say, else
// listeners.
func (b *Broker) advertisedText() string {
	if text, set := b.parsed["advertised.listeners"].(string); set {
		return text
	}
	_, host := b.values["advertised.host.name"]
	_, port := b.values["advertised.port"]
	if host || port {
		return b.legacyListener("advertised.host.name", "advertised.port")
	}
	return b.listenersText()
}

// legacyListener is the listener that the given keys of 1.1 mean; host.name and port stand in for an
// advertised one.
func (b *Broker) legacyListener(hostKey, portKey string) string {
	port, set := b.parsed[portKey].(int64)
	if !set {
		port = b.parsed["port"].(int64)
	}
	return fmt.Sprintf("PLAINTEXT://%s:%d", b.stringOf(hostKey, b.stringOf("host.name", "")), port)
}

func protocolMap(text string) (map[string]string, error) {
	const key = "listener.security.protocol.map"
	protocols := map[string]string{}
	for _, pair := range csv(text) {
		i := strings.LastIndex(pair, ":")
		if i < 0 {
			return nil, illegal("Error parsing configuration property '%s': begin 0, end -1, length %d", key, len(pair))
		}
		name, protocol := strings.ToUpper(pair[:i]), strings.TrimSpace(pair[i+1:])
		switch p := strings.ToUpper(protocol); p {
		case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
			protocols[name] = p
		default:
			return nil, refuse("Invalid security protocol `%s` defined in %s", protocol, key)
		}
	}
	return protocols, nil
}

func (b *Broker) endPoints(text string) ([]Listener, error) {
	var all []Listener
	for _, word := range csv(text) {
		l, err := parseListener(word)
		if err == nil {
			if l.Protocol = b.ListenerSecurityProtocols[l.Name]; l.Protocol == "" {
				err = fmt.Errorf("No security protocol defined for listener %s", l.Name)
			}
		}
		if err != nil {
			return nil, illegal("Error creating broker listeners from '%s': %s", text, err)
		}
		if slices.ContainsFunc(all, func(o Listener) bool { return o.Name == l.Name }) {
			return nil, require(false, "Each listener must have a different name, listeners: %s", text)
		}
		all = append(all, l)
	}
	return all, nil
}

// checkPorts lets two listeners share a port only when one is bound to an IPv4 and the other to an IPv6
// address.
func checkPorts(listeners []Listener, text string) error {
	byPort := map[int32][]Listener{}
	for _, l := range listeners {
		if l.Port != 0 {
			byPort[l.Port] = append(byPort[l.Port], l)
		}
	}
	for port, shared := range byPort {
		if len(shared) == 1 {
			continue
		}
		v4, v6 := 0, 0
		for _, l := range shared {
			if a, err := netip.ParseAddr(l.Host); err != nil {
				return require(false, "Each listener must have a different port, listeners: %s", text)
			} else if a.Is4() {
				v4++
			} else {
				v6++
			}
		}
		if len(shared) > 2 {
			return illegal("Each listener must have a different port unless exactly one listener has an IPv4 address "+
				"and the other IPv6 address, listeners: %s, port: %d", text, port)
		}
		if v4 != 1 || v6 != 1 {
			return require(false, "If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, "+
				"listeners: %s, port: %d", text, port)
		}
	}
	return nil
}

// deriveListenerRoles finds the listener for brokers among themselves and the controller's own.
func (b *Broker) deriveListenerRoles() error {
	b.InterBrokerListener = b.stringOf("security.inter.broker.protocol", "")
	if name, set := b.parsed["inter.broker.listener.name"].(string); set {
		b.InterBrokerListener = strings.ToUpper(name)
		if _, both := b.values["security.inter.broker.protocol"]; both {
			return refuse("Only one of inter.broker.listener.name and security.inter.broker.protocol should be set.")
		}
		if b.ListenerSecurityProtocols[b.InterBrokerListener] == "" {
			return refuse("Listener with name %s defined in inter.broker.listener.name not found in "+
				"listener.security.protocol.map.", b.InterBrokerListener)
		}
	}
	if name, set := b.parsed["control.plane.listener.name"].(string); set {
		b.ControlPlaneListener = strings.ToUpper(name)
		if b.ListenerSecurityProtocols[b.ControlPlaneListener] == "" {
			return refuse("Listener with %s defined in control.plane.listener.name not found in "+
				"listener.security.protocol.map.", b.ControlPlaneListener)
		}
	}
	return nil
}

// ListenerValue gives a key of one listener, configured as listener.name.NAME.key; "" where it is not.
func (b *Broker) ListenerValue(listener, key string) string {
	return b.values[listenerPrefix+strings.ToLower(listener)+"."+key]
}

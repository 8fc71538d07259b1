package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// admission decides who may connect (Kafka's ConnectionQuotas). Too many from one address: the connection is
// closed at once. Too many in all: the listener stops accepting until someone leaves; only an inter-broker
// listener that clients do not share goes on, at the cost of the connection of another listener that has been
// quiet for longest.
type admission struct {
	max       int
	perIP     int
	overrides map[netip.Addr]int
	mu        struct {
		sync.Mutex
		total int
		byIP  map[netip.Addr]int
		freed chan struct{} // closed when someone leaves; nil while nobody waits
	}
}

func newAdmission(o ServerOptions) *admission {
	a := &admission{max: o.MaxConnections, perIP: o.MaxConnectionsPerIP, overrides: make(map[netip.Addr]int)}
	a.mu.byIP = make(map[netip.Addr]int)
	for host, n := range o.MaxConnectionsPerIPOverrides {
		addrs, err := net.LookupHost(host)
		if err != nil {
			continue
		}
		for _, text := range addrs {
			if ip, err := netip.ParseAddr(text); err == nil {
				a.overrides[ip.Unmap()] = n
			}
		}
	}
	return a
}

// errTooManyFromIP turns a connection away.
var errTooManyFromIP = errors.New("too many connections from this address")

// enter lets a connection of listener l in, waiting while the server or the listener is full. evict makes room
// for a connection of the protected listener.
func (a *admission) enter(ctx context.Context, l *listener, ip netip.Addr, evict func()) error {
	limit := a.perIP
	if n, ok := a.overrides[ip]; ok {
		limit = n
	}
	for {
		a.mu.Lock()
		if a.mu.byIP[ip] >= limit {
			a.mu.Unlock()
			return errTooManyFromIP
		}
		full := a.mu.total >= a.max
		if l.admitted < l.limit() && (!full || l.protected) {
			a.mu.total++
			a.mu.byIP[ip]++
			l.admitted++
			a.mu.Unlock()
			if full {
				evict()
			}
			return nil
		}
		if a.mu.freed == nil {
			a.mu.freed = make(chan struct{})
		}
		freed := a.mu.freed
		a.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave counts a connection out.
func (a *admission) leave(l *listener, ip netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.total--
	l.admitted--
	if a.mu.byIP[ip]--; a.mu.byIP[ip] == 0 {
		delete(a.mu.byIP, ip)
	}
	if a.mu.freed != nil {
		close(a.mu.freed)
		a.mu.freed = nil
	}
}

// addrOf is the IP address of a TCP address.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

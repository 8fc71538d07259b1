package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// admission decides who may connect (Kafka's ConnectionQuotas). Connections that come faster than
// max.connection.creation.rate are taken in at that rate. Too many from one address: the connection is closed at
// once. Too many in all: the listener stops accepting until someone leaves; only an inter-broker listener that
// clients do not share goes on, at the cost of the connection of another listener that has been quiet for longest.
type admission struct {
	pace pace // of all listeners together
	mu   struct {
		sync.Mutex
		max       int
		perIP     int
		overrides map[netip.Addr]int
		total     int
		byIP      map[netip.Addr]int
		freed     chan struct{} // closed when someone leaves or the limits change; nil while nobody waits
	}
}

func newAdmission(l Limits) *admission {
	a := &admission{}
	a.mu.byIP = make(map[netip.Addr]int)
	a.set(l)
	return a
}

// set changes the limits. Names of hosts are looked up here and now; one that cannot be found has no override.
func (a *admission) set(l Limits) {
	overrides := make(map[netip.Addr]int)
	for host, n := range l.MaxConnectionsPerIPOverrides {
		addrs, err := net.LookupHost(host)
		if err != nil {
			continue
		}
		for _, text := range addrs {
			if ip, err := netip.ParseAddr(text); err == nil {
				overrides[ip.Unmap()] = n
			}
		}
	}
	a.pace.limit(l.MaxCreationRate)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.max, a.mu.perIP, a.mu.overrides = l.MaxConnections, l.MaxConnectionsPerIP, overrides
	a.wakeLocked()
}

// limitLocked is how many connections an address may have.
func (a *admission) limitLocked(ip netip.Addr) int {
	if n, ok := a.mu.overrides[ip]; ok {
		return n
	}
	return a.mu.perIP
}

// wakeLocked lets those who wait look again.
func (a *admission) wakeLocked() {
	if a.mu.freed != nil {
		close(a.mu.freed)
		a.mu.freed = nil
	}
}

// errTooManyFromIP turns a connection away.
var errTooManyFromIP = errors.New("too many connections from this address")

// enter lets a connection of listener l in, waiting while connections come too fast and while the server or the
// listener is full. evict makes room for a connection of the protected listener.
func (a *admission) enter(ctx context.Context, l *listener, ip netip.Addr, evict func()) error {
	if err := a.slowDown(ctx, l); err != nil {
		return err
	}
	for {
		a.mu.Lock()
		if a.mu.byIP[ip] >= a.limitLocked(ip) {
			a.mu.Unlock()
			return errTooManyFromIP
		}
		full := a.mu.total >= a.mu.max
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
	a.wakeLocked()
}

// slowDown counts a new connection and waits for its turn. The protected listener counts towards the rate of all
// and heeds its own alone.
func (a *admission) slowDown(ctx context.Context, l *listener) error {
	now := time.Now()
	wait, all := l.pace.take(now), a.pace.take(now)
	if !l.protected {
		wait = max(wait, all)
	}
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// addrOf is the IP address of a TCP address.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

package controller

import (
	"slices"
	"sync"
	"testing"
)

// drain takes everything and runs it.
func drain(m *mailbox) (names []string) {
	for {
		e, ok := m.take()
		if !ok {
			return names
		}
		names = append(names, e.name)
	}
}

func TestMailboxKeepsOrderAndOneOfEachHint(t *testing.T) {
	m := newMailbox()
	m.post(event{name: "a"})
	m.post(event{name: "hint", key: "k"})
	m.post(event{name: "b"})
	m.post(event{name: "hint again", key: "k"})
	m.post(event{name: "other", key: "l"})
	if got, want := drain(m), []string{"a", "hint", "b", "other"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	m.post(event{name: "later", key: "k"}) // what is taken does not swallow news
	if got := drain(m); !slices.Equal(got, []string{"later"}) {
		t.Errorf("%v", got)
	}
}

func TestAnUrgentEventDropsWhatWaits(t *testing.T) {
	m := newMailbox()
	var dropped []string
	drop := func(name string) func() { return func() { dropped = append(dropped, name) } }
	m.post(event{name: "a", drop: drop("a")})
	m.post(event{name: "hint", key: "k"})
	m.postAlone(event{name: "Expire"})
	m.post(event{name: "hint", key: "k"}) // its predecessor was dropped
	if got, want := drain(m), []string{"Expire", "hint"}; !slices.Equal(got, want) || !slices.Equal(dropped, []string{"a"}) {
		t.Errorf("%v, dropped %v", got, dropped)
	}
	m.post(event{name: "b", drop: drop("b")})
	m.close()
	m.post(event{name: "c", drop: drop("c")})
	m.postAlone(event{name: "d", drop: drop("d")})
	if got := drain(m); len(got) > 0 || !slices.Equal(dropped, []string{"a", "b", "c", "d"}) {
		t.Errorf("%v, dropped %v", got, dropped)
	}
}

func TestMailboxWakesItsReader(t *testing.T) {
	m := newMailbox()
	const each, posters = 1000, 4
	var posting sync.WaitGroup
	for range posters {
		posting.Go(func() {
			for range each {
				m.post(event{name: "x"})
			}
		})
	}
	for got := 0; got < each*posters; {
		if _, ok := m.take(); ok {
			got++
		} else {
			<-m.ready // a lost wake-up would hang here
		}
	}
	posting.Wait()
}

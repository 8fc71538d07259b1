package api

import "sync"

// gate is a door that opens once and stays open.
type gate struct {
	once   sync.Once
	opened chan struct{} // closed by open
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) isOpen() bool {
	select {
	case <-g.opened:
		return true
	default:
		return false
	}
}

package replica

import (
	"errors"
	"slices"
	"testing"

	"github.com/zurau/zurau/broker/kerr"
)

// A request that was accepted must be carried out before its controller can be replaced, or it would come through
// behind those of the next one.
func TestWhatControllersSendIsCarriedOutOneByOne(t *testing.T) {
	m := newManager(t, nil)
	var order []int32
	begun, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		done <- m.FromController(4, func() {
			close(begun)
			<-proceed
			order = append(order, 4)
		})
	}()
	<-begun
	go func() { done <- m.FromController(5, func() { order = append(order, 5) }) }()
	close(proceed)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := m.FromController(4, func() { order = append(order, 4) }); !errors.Is(err, kerr.StaleControllerEpoch) {
		t.Errorf("a controller that has been replaced was told %v", err)
	}
	if !slices.Equal(order, []int32{4, 5}) {
		t.Errorf("carried out in the order %v", order)
	}
}

package brokertest

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
)

// Transactions come with a later issue. Until then a client that wants one hears a definite no, however often it would ask
// for a coordinator that is only not available.
func TestATransactionWithoutACoordinatorIsToldSo(t *testing.T) {
	c := Start(t, Property("transaction.state.log.replication.factor", "1"))
	for version := int16(1); version <= 6; version++ {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = version, 1, "x", []string{"x"}
		code, text := int16(0), new(string)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			resp := ask[*kmsg.FindCoordinatorResponse](t, c.Node(0).Addr(), req)
			code, text = resp.ErrorCode, resp.ErrorMessage
			if version >= 4 {
				code, text = resp.Coordinators[0].ErrorCode, resp.Coordinators[0].ErrorMessage
			}
			if code != kerr.CoordinatorNotAvailable.Code || time.Now().After(end) {
				break
			}
		}
		if code != kerr.UnsupportedVersion.Code || text == nil || *text == "" {
			t.Errorf("version %d: answered %d, want %d with a text", version, code, kerr.UnsupportedVersion.Code)
		}
	}
}

package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func decodeBody(req kmsg.Request, body []byte) error {
	if u, ok := req.(kmsg.UnsafeReadFrom); ok {
		return u.UnsafeReadFrom(body)
	}
	return req.ReadFrom(body)
}

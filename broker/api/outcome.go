package api

import (
	"context"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/zkmeta"
)

// outcome turns what became of an operation into the code and the message of its answer. The message is nil
// unless the error has words of its own, and for errors that have no code: those go to the log, with what was
// being done, and tell the client nothing.
func (h *Handler) outcome(doing string, err error) (int16, *string) {
	code := kerr.CodeOf(err)
	if err == nil {
		return code, nil
	}
	if code == kerr.UnknownServerError.Code {
		h.Logger.Error("Error "+doing, zap.Error(err))
		return code, nil
	}
	text := kerr.MessageOf(err)
	if text == kerr.ForCode(code).Text {
		return code, nil
	}
	return code, &text
}

// wordyOutcome is outcome for answers whose message is empty, not null, when all is well.
func (h *Handler) wordyOutcome(doing string, err error) (int16, *string) {
	code, text := h.outcome(doing, err)
	if err == nil {
		text = new(string)
	}
	return code, text
}

// session is the present ZooKeeper session, or the next one if that comes within request.timeout.ms.
func (h *Handler) session(ctx context.Context) (*zkmeta.Session, error) {
	if s := h.ZK.Session(); s != nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.Config.Broker().RequestTimeout)
	defer cancel()
	return h.ZK.AwaitSession(ctx)
}

// controls tells whether this broker is the controller and has told itself so: before its first UpdateMetadata it
// would plan with a picture of the cluster in which the broker it succeeds still lives.
func (h *Handler) controls() bool {
	return h.Controller.IsActive() && h.Metadata.Load().ControllerID() == h.BrokerID
}

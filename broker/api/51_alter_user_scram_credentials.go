package api

import (
	"context"
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/security"
	"github.com/zurau/zurau/broker/wire"
)

// alterUserScramCredentials (key 51, version 0) gives users SCRAM credentials and takes them away (KIP-554). The client
// sends the password salted. Only the controller does it; each user is answered once, and altered whole or not at all.
func (h *Handler) alterUserScramCredentials(
	ctx context.Context, _ *wire.Request, req *kmsg.AlterUserSCRAMCredentialsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	order, changes := scramChangesByUser(req)
	for _, user := range order {
		r := kmsg.AlterUserSCRAMCredentialsResponseResult{User: user}
		err := error(kerr.NotController)
		if h.Controller.IsActive() {
			err = h.alterScram(ctx, user, changes[user])
		}
		r.ErrorCode, r.ErrorMessage = h.wordyOutcome("altering the SCRAM credentials of a user", err)
		resp.Results = append(resp.Results, r)
	}
	return wire.Respond(resp)
}

// scramChanges is what a request wants of one user.
type scramChanges struct {
	deletions  []security.ScramMechanism
	upsertions []*kmsg.AlterUserSCRAMCredentialsRequestUpsertion
}

// scramChangesByUser sorts a request by users, in the order in which it first names them.
func scramChangesByUser(req *kmsg.AlterUserSCRAMCredentialsRequest) (order []string, byUser map[string]*scramChanges) {
	byUser = make(map[string]*scramChanges)
	of := func(user string) *scramChanges {
		if byUser[user] == nil {
			byUser[user] = &scramChanges{}
			order = append(order, user)
		}
		return byUser[user]
	}
	for i := range req.Deletions {
		d := &req.Deletions[i]
		c := of(d.Name)
		c.deletions = append(c.deletions, security.ScramMechanism(d.Mechanism))
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		c := of(u.Name)
		c.upsertions = append(c.upsertions, u)
	}
	return order, byUser
}

// check refuses what no user may have: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, or DUPLICATE_RESOURCE when
// a mechanism is named twice. Of several faults the last upsertion's is told, as Kafka does.
func (c *scramChanges) check(user string) (err error) {
	if user == "" {
		return kerr.New(kerr.UnacceptableCredential, "%s", emptyUser)
	}
	named := make(map[security.ScramMechanism]bool)
	twice := false
	name := func(m security.ScramMechanism) {
		twice = twice || named[m]
		named[m] = true
		if !m.Known() {
			err = kerr.New(kerr.UnsupportedSASLMechanism, "Unknown SCRAM mechanism")
		}
	}
	for _, m := range c.deletions {
		name(m)
	}
	for _, u := range c.upsertions {
		name(security.ScramMechanism(u.Mechanism))
		switch {
		case !security.ScramMechanism(u.Mechanism).Known():
		case u.Iterations < security.MinScramIterations:
			err = kerr.New(kerr.UnacceptableCredential, "Too few iterations")
		case u.Iterations > security.MaxScramIterations:
			err = kerr.New(kerr.UnacceptableCredential, "Too many iterations")
		case len(u.Salt) == 0 || len(u.SaltedPassword) == 0:
			err = kerr.New(kerr.UnacceptableCredential, "Salt and salted password must not be empty")
		}
	}
	if err == nil && twice {
		return kerr.New(kerr.DuplicateResource, "A user credential cannot be altered twice in the same request")
	}
	return err
}

// apply is what a user's znode holds after the changes, which have been checked; all else in it stays.
// RESOURCE_NOT_FOUND for a credential to delete that is not there.
func (c *scramChanges) apply(current map[string]string) (map[string]string, error) {
	next := maps.Clone(current)
	for _, m := range c.deletions {
		if _, ok := next[m.String()]; !ok {
			return nil, kerr.New(kerr.ResourceNotFound, "Attempt to delete a user credential that does not exist")
		}
		delete(next, m.String())
	}
	for _, u := range c.upsertions {
		m := security.ScramMechanism(u.Mechanism)
		next[m.String()] = security.SaltedScramCredential(m, u.SaltedPassword, u.Salt, int(u.Iterations)).Encode()
	}
	return next, nil
}

// alterScram alters the credentials of one user.
func (h *Handler) alterScram(ctx context.Context, user string, c *scramChanges) error {
	if err := c.check(user); err != nil {
		return err
	}
	s, err := h.session(ctx)
	if err != nil {
		return err
	}
	current, err := s.ReadConfig(ctx, credentialsOf(user))
	if err != nil {
		return err
	}
	next, err := c.apply(current)
	if err != nil {
		return err
	}
	return s.WriteConfig(ctx, credentialsOf(user), next)
}

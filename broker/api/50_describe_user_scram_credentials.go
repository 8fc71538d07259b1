package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/security"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// describeUserScramCredentials (key 50, version 0) tells which mechanisms users have a credential for and with how many
// iterations (KIP-554), for the users named or, if none is named, for all that have one. Any broker answers.
func (h *Handler) describeUserScramCredentials(
	ctx context.Context, _ *wire.Request, req *kmsg.DescribeUserSCRAMCredentialsRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	results, err := h.scramCredentials(ctx, req.Users)
	resp.ErrorCode, resp.ErrorMessage = h.wordyOutcome("describing SCRAM credentials", err)
	resp.Results = results
	return wire.Respond(resp)
}

func (h *Handler) scramCredentials(
	ctx context.Context, asked []kmsg.DescribeUserSCRAMCredentialsRequestUser,
) ([]kmsg.DescribeUserSCRAMCredentialsResponseResult, error) {
	s, err := h.session(ctx)
	if err != nil {
		return nil, err
	}
	var users []string
	if len(asked) == 0 {
		users, err = h.users(ctx, s)
	}
	for _, u := range asked {
		users = append(users, u.Name)
	}
	if err != nil {
		return nil, err
	}
	znodes := make([]zkmeta.Entity, 0, len(users))
	for _, user := range users {
		if user != "" {
			znodes = append(znodes, credentialsOf(user))
		}
	}
	stored, err := s.ReadConfigs(ctx, znodes)
	if err != nil {
		return nil, err
	}
	twice := repeated(users, func(user *string) string { return *user })
	described := make(map[string]bool, len(users))
	var results []kmsg.DescribeUserSCRAMCredentialsResponseResult
	for _, user := range users {
		if described[user] {
			continue
		}
		described[user] = true
		r := kmsg.DescribeUserSCRAMCredentialsResponseResult{User: user}
		r.CredentialInfos, err = h.credentialInfos(user, stored[credentialsOf(user)], twice[user])
		if len(asked) == 0 && errors.Is(err, kerr.ResourceNotFound) {
			continue // a user with quotas alone
		}
		r.ErrorCode, r.ErrorMessage = h.wordyOutcome("describing the SCRAM credentials of a user", err)
		results = append(results, r)
	}
	return results, nil
}

// credentialsOf is the znode that holds a user's credentials. There is none for the default of all users: who calls
// himself "<default>" has a name like any other.
func credentialsOf(user string) zkmeta.Entity {
	return zkmeta.Entity(zkmeta.UserConfigs + "/" + zkmeta.Sanitize(user))
}

// users are the names of all users that have a znode, in order.
func (h *Handler) users(ctx context.Context, s *zkmeta.Session) ([]string, error) {
	znodes, err := s.Entities(ctx, zkmeta.UserConfigs)
	var users []string
	for _, e := range znodes {
		if e == zkmeta.UserEntity(zkmeta.DefaultEntity) {
			continue
		}
		user, err := zkmeta.Desanitize(e.Name())
		if err != nil {
			h.Logger.Warn("A znode is not named as a user's is", zap.String("entity", string(e)), zap.Error(err))
			continue
		}
		users = append(users, user)
	}
	slices.Sort(users)
	return users, err
}

// credentialInfos are the credentials among the values of a user's znode. RESOURCE_NOT_FOUND if there is none,
// DUPLICATE_RESOURCE for a user that was named twice.
func (h *Handler) credentialInfos(
	user string, stored map[string]string, twice bool,
) (infos []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo, err error) {
	switch {
	case user == "":
		return nil, kerr.New(kerr.ResourceNotFound, "%s", emptyUser)
	case twice:
		return nil, kerr.New(kerr.DuplicateResource,
			"Cannot describe SCRAM credentials for the same user twice in a single request: %s", user)
	}
	for _, m := range security.ScramMechanisms {
		text, ok := stored[m.String()]
		if !ok {
			continue
		}
		c, err := security.ParseScramCredential(text)
		if err != nil {
			return nil, fmt.Errorf("%s of user %q: %w", m, user, err)
		}
		infos = append(infos, kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{
			Mechanism: int8(m), Iterations: int32(c.Iterations)})
	}
	if len(infos) == 0 {
		return nil, kerr.New(kerr.ResourceNotFound, "Attempt to describe a user credential that does not exist: %s", user)
	}
	return infos, nil
}

const emptyUser = "Username must not be empty"

package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/zurau/zurau/broker/ibp"
)

// TokenChangesPath is the parent whose children tell of changed tokens, for WatchChildren.
const TokenChangesPath = "/delegation_token/token_changes"

const (
	tokensPath        = "/delegation_token/tokens"
	tokenChangePrefix = "token_change_"
)

// A DelegationToken is what ZooKeeper keeps of one: everything but the secret, which brokers compute.
type DelegationToken struct {
	ID        string
	Owner     string // "User:a"
	Requester string // who asked for it; the owner itself before Kafka 3.3
	Renewers  []string
	Issued    int64 // ms since 1970, as the other two
	Max       int64
	Expires   int64
}

// encodeToken writes version 3, or the version 1 of brokers before 3.3.
func encodeToken(t DelegationToken, version int) []byte {
	o := appendIntField([]byte("{"), "issueTimestamp", t.Issued)
	o = append(appendKey(o, "renewers"), '[')
	for i, renewer := range t.Renewers {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendString(o, Sanitize(renewer))
	}
	o = append(o, ']')
	if version >= 3 {
		o = appendStringField(o, "tokenRequester", Sanitize(t.Requester))
	}
	o = appendStringField(o, "tokenId", t.ID)
	o = appendStringField(o, "owner", Sanitize(t.Owner))
	o = appendIntField(o, "expiryTimestamp", t.Expires)
	o = appendIntField(o, "maxTimestamp", t.Max)
	return append(appendIntField(o, "version", int64(version)), '}')
}

// tokenVersion is the form a level writes: owners apart from requesters came with 3.3 (KIP-373).
func tokenVersion(level ibp.Level) int {
	if level >= ibp.V3_3_IV0 {
		return 3
	}
	return 1
}

// principal reads a sanitized "User:a".
func principal(text string) (string, error) {
	name, err := url.PathUnescape(text)
	if err == nil && !strings.Contains(name, ":") {
		err = fmt.Errorf("%q is not a principal", text)
	}
	return name, err
}

func decodeToken(data []byte) (t DelegationToken, err error) {
	o, err := parseObject(data)
	if err != nil {
		return t, err
	}
	version, err := get[int32](o, "version")
	if err != nil || version < 1 || version > 3 {
		return t, fmt.Errorf("version %s is not 1 to 3", o["version"])
	}
	var errs [6]error
	t.ID, errs[0] = get[string](o, "tokenId")
	t.Issued, errs[1] = get[int64](o, "issueTimestamp")
	t.Max, errs[2] = get[int64](o, "maxTimestamp")
	t.Expires, errs[3] = get[int64](o, "expiryTimestamp")
	owner, err := get[string](o, "owner")
	if err == nil {
		owner, err = principal(owner)
	}
	t.Owner, errs[4] = owner, err
	renewers, err := get[[]string](o, "renewers")
	for _, text := range renewers {
		var renewer string
		if renewer, err = principal(text); err != nil {
			break
		}
		t.Renewers = append(t.Renewers, renewer)
	}
	errs[5] = err
	if err := errors.Join(errs[:]...); err != nil {
		return t, err
	}
	t.Requester = t.Owner
	if o.has("tokenRequester") {
		text, err := get[string](o, "tokenRequester")
		if err == nil {
			t.Requester, err = principal(text)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// EnsureTokenPaths makes the parents of the tokens.
func (s *Session) EnsureTokenPaths(ctx context.Context) error {
	for _, path := range []string{TokenChangesPath, tokensPath} {
		if err := s.ensurePath(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// Tokens reads all delegation tokens by id. One that cannot be read is reported and left out.
func (s *Session) Tokens(ctx context.Context) (map[string]DelegationToken, error) {
	names, err := s.childrenOf(ctx, tokensPath)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = tokensPath + "/" + name
	}
	tokens := make(map[string]DelegationToken, len(names))
	err = s.readAll(ctx, paths, func(i int, data []byte, _ *Stat) error {
		t, err := decodeToken(data)
		if err == nil {
			tokens[names[i]] = t
		}
		return err
	})
	return tokens, err
}

// ReadToken reads one token; ErrNoNode when there is none of the id.
func (s *Session) ReadToken(ctx context.Context, id string) (DelegationToken, error) {
	data, _, err := s.Get(ctx, tokensPath+"/"+id)
	if err != nil {
		return DelegationToken{}, err
	}
	t, err := decodeToken(data)
	if err != nil {
		return DelegationToken{}, fmt.Errorf("%s: %w", s.full(tokensPath+"/"+id), err)
	}
	return t, nil
}

// WriteToken makes or rewrites a token and tells all brokers.
func (s *Session) WriteToken(ctx context.Context, t DelegationToken) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	path, data := tokensPath+"/"+t.ID, encodeToken(t, tokenVersion(s.client.currentLevel()))
	for {
		err := s.setLast(ctx, path, data)
		if errors.Is(err, ErrNoNode) {
			if err = s.createNew(ctx, path, data); errors.Is(err, ErrNodeExists) {
				continue
			}
		}
		if err != nil {
			return err
		}
		return s.notifyTokenChange(ctx, t.ID)
	}
}

// RemoveToken deletes a token and tells all brokers.
func (s *Session) RemoveToken(ctx context.Context, id string) error {
	if err := s.remove(ctx, tokensPath+"/"+id); err != nil {
		return err
	}
	return s.notifyTokenChange(ctx, id)
}

func (s *Session) notifyTokenChange(ctx context.Context, id string) error {
	_, err := s.createSequential(ctx, TokenChangesPath+"/"+tokenChangePrefix, []byte(id))
	return err
}

// TokenChanges reads the ids of tokens that have changed: notifications with a number above after (-1 for all), in their
// order, and the highest number there is.
func (s *Session) TokenChanges(ctx context.Context, after int64) ([]string, int64, error) {
	_, paths, last, err := s.notifications(ctx, TokenChangesPath, tokenChangePrefix, after)
	if err != nil {
		return nil, after, err
	}
	var changed []string
	err = s.readAll(ctx, paths, func(_ int, data []byte, _ *Stat) error {
		changed = append(changed, string(data))
		return nil
	})
	if err != nil {
		return nil, after, err
	}
	return changed, last, nil
}

// PurgeTokenChanges deletes old notifications.
func (s *Session) PurgeTokenChanges(ctx context.Context) error {
	return s.purge(ctx, TokenChangesPath, tokenChangePrefix)
}

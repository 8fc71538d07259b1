package main

import (
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/security"
)

// The SCRAM credentials of users in kafka-configs (KIP-554): what --add-config says of one, and the requests to the
// brokers. A password leaves the tool salted and hashed only.

// defaultScramIterations are those of a credential that names none.
const defaultScramIterations = 4096

// scramSetting is what --add-config says of a credential. It holds the password: never to be printed or kept.
type scramSetting struct {
	mechanism  security.ScramMechanism
	iterations int
	password   string
}

var scramSettings = map[dialect]*regexp.Regexp{
	dialect11: regexp.MustCompile(`^(?:iterations=([0-9]*),)?password=(.*)$`),
	dialect28: regexp.MustCompile(`^(?:iterations=(-?[0-9]*),)?password=(.*)$`),
}

// parseScramSetting reads "iterations=N,password=P" or "password=P". 2.8 takes -1 iterations for the default.
func parseScramSetting(d dialect, m security.ScramMechanism, text string) (scramSetting, error) {
	constant := strings.ReplaceAll(m.String(), "-", "_") // the mechanism's name in Java
	found := scramSettings[d].FindStringSubmatch(text)
	if found == nil {
		return scramSetting{}, illegalArgument("Invalid credential property %s=%s", constant, text)
	}
	s := scramSetting{m, defaultScramIterations, found[2]}
	if given := strings.HasPrefix(text, "iterations="); given && found[1] != "-1" {
		n, err := strconv.ParseInt(found[1], 10, 32)
		if err != nil {
			return scramSetting{}, illegalArgument("For input string: \"%s\"", found[1])
		}
		s.iterations = int(n)
	}
	if s.iterations < security.MinScramIterations {
		name := m.String()
		if d == dialect11 {
			name = constant
		}
		return scramSetting{}, illegalArgument("Iterations %d is less than the minimum %d required for %s", s.iterations,
			security.MinScramIterations, name)
	}
	return s, nil
}

// String keeps the password out of whatever prints a setting.
func (s scramSetting) String() string {
	return fmt.Sprintf("%s of %d iterations", s.mechanism, s.iterations)
}

// GoString keeps the password out of %#v.
func (s scramSetting) GoString() string { return s.String() }

// salted is the password as the brokers get it, with the random salt that was used.
func (s scramSetting) salted() (password, salt []byte, err error) {
	salt = []byte(rand.Text())
	password, err = s.saltedWith(salt)
	return password, salt, err
}

func (s scramSetting) saltedWith(salt []byte) ([]byte, error) {
	if s.mechanism == security.ScramSHA512 {
		return pbkdf2.Key(sha512.New, s.password, salt, s.iterations, sha512.Size)
	}
	return pbkdf2.Key(sha256.New, s.password, salt, s.iterations, sha256.Size)
}

// alterCredentials sets and deletes credentials of a user.
func (q *quotaService) alterCredentials(ctx context.Context, user string, change quotaChange) error {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, name := range change.deletedScram {
		mechanism, _ := security.ScramMechanismByName(name)
		req.Deletions = append(req.Deletions,
			kmsg.AlterUserSCRAMCredentialsRequestDeletion{Name: user, Mechanism: int8(mechanism)})
	}
	for _, name := range slices.Sorted(maps.Keys(change.credentials)) {
		mechanism, _ := security.ScramMechanismByName(name)
		setting, err := parseScramSetting(dialect28, mechanism, change.credentials[name])
		if err != nil {
			return err
		}
		if setting.password == "" {
			return executionError(&javaError{
				class:   errorClass(kerr.UnacceptableCredential),
				message: "Password must not be empty",
			})
		}
		salted, salt, err := setting.salted()
		if err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
			Name: user, Mechanism: int8(mechanism), Iterations: int32(setting.iterations), Salt: salt, SaltedPassword: salted,
		})
	}
	resp, err := ask[*kmsg.AlterUserSCRAMCredentialsResponse](ctx, q.admin, req)
	if err != nil {
		return err
	}
	for _, r := range resp.Results {
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			return executionError(err)
		}
	}
	return nil
}

// describeCredentials prints the mechanisms of a user, or of all users for "". A user without any is not told.
func (q *quotaService) describeCredentials(ctx context.Context, user string) error {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	if user != "" {
		req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{{Name: user}}
	}
	resp, err := ask[*kmsg.DescribeUserSCRAMCredentialsResponse](ctx, q.admin, req)
	if err != nil {
		return err
	}
	if err := brokerError(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return executionError(err)
	}
	slices.SortFunc(resp.Results, func(a, b kmsg.DescribeUserSCRAMCredentialsResponseResult) int {
		return cmp.Compare(a.User, b.User)
	})
	for _, r := range resp.Results {
		if r.ErrorCode == kerr.ResourceNotFound.Code {
			continue
		}
		if err := brokerError(r.ErrorCode, r.ErrorMessage); err != nil {
			fmt.Fprintf(q.out, "Error retrieving SCRAM credential configs for user-principal '%s': ExecutionException: %s\n",
				r.User, throwable(err))
			continue
		}
		var words []string
		for _, c := range r.CredentialInfos {
			words = append(words, fmt.Sprintf("%s=iterations=%d", security.ScramMechanism(c.Mechanism), c.Iterations))
		}
		fmt.Fprintf(q.out, "SCRAM credential configs for user-principal '%s' are %s\n", r.User, strings.Join(words, ", "))
	}
	return nil
}

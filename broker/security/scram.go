package security

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// A ScramMechanism is one of the two SCRAM mechanisms, as the protocol numbers them (KIP-554).
type ScramMechanism int8

// The mechanisms, weakest first. Zero is none.
const (
	ScramSHA256 ScramMechanism = 1
	ScramSHA512 ScramMechanism = 2
)

// ScramMechanisms are all of them, in the order Kafka lists them.
var ScramMechanisms = []ScramMechanism{ScramSHA256, ScramSHA512}

// The iterations a credential may have, whatever its mechanism (Kafka: ScramMechanism). Fewer are guessed too fast;
// more would let whoever knows a user's name keep a broker busy.
const (
	MinScramIterations = 4096
	MaxScramIterations = 16384
)

// ScramMechanismByName finds the mechanism of a name such as "SCRAM-SHA-256"; it is also the key in the znode.
func ScramMechanismByName(name string) (ScramMechanism, bool) {
	for _, m := range ScramMechanisms {
		if m.String() == name {
			return m, true
		}
	}
	return 0, false
}

// String is the mechanism's name as IANA registered it.
func (m ScramMechanism) String() string {
	switch m {
	case ScramSHA256:
		return "SCRAM-SHA-256"
	case ScramSHA512:
		return "SCRAM-SHA-512"
	}
	return "UNKNOWN"
}

// Known tells whether m is one of ScramMechanisms.
func (m ScramMechanism) Known() bool { return m == ScramSHA256 || m == ScramSHA512 }

// hash makes the mechanism's hash. Only for a known mechanism.
func (m ScramMechanism) hash() hash.Hash {
	if m == ScramSHA512 {
		return sha512.New()
	}
	return sha256.New()
}

func (m ScramMechanism) hmac(key []byte, text string) []byte {
	mac := hmac.New(m.hash, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// A ScramCredential is what a server keeps of a password (RFC 5802, 3): enough to check somebody, not enough to be
// them, but enough to guess. It is therefore never logged: String shows the iterations only, Encode shows all.
type ScramCredential struct {
	Salt       []byte
	StoredKey  []byte // H(HMAC(salted password, "Client Key"))
	ServerKey  []byte // HMAC(salted password, "Server Key")
	Iterations int
}

// NewScramCredential makes the credential of a password with a random salt. The password is taken byte for byte, as
// Kafka takes it: no SASLprep. The iterations are the caller's to check against the bounds above; less than one is an
// error.
func NewScramCredential(m ScramMechanism, password string, iterations int) (ScramCredential, error) {
	// 130 random bits as text, as Kafka's salts are: whoever prints a salt can.
	return newScramCredential(m, password, []byte(rand.Text()), iterations)
}

func newScramCredential(m ScramMechanism, password string, salt []byte, iterations int) (ScramCredential, error) {
	if !m.Known() || iterations < 1 {
		return ScramCredential{}, fmt.Errorf("no credential of mechanism %s with %d iterations", m, iterations)
	}
	salted, err := pbkdf2.Key(m.hash, password, salt, iterations, m.hash().Size())
	if err != nil {
		return ScramCredential{}, fmt.Errorf("salt a password: %w", err)
	}
	return SaltedScramCredential(m, salted, salt, iterations), nil
}

// SaltedScramCredential makes the credential of a password that is salted already, as clients send it to the broker.
// The mechanism must be a known one.
func SaltedScramCredential(m ScramMechanism, saltedPassword, salt []byte, iterations int) ScramCredential {
	h := m.hash()
	h.Write(m.hmac(saltedPassword, "Client Key"))
	return ScramCredential{
		Salt:       salt,
		StoredKey:  h.Sum(nil),
		ServerKey:  m.hmac(saltedPassword, "Server Key"),
		Iterations: iterations,
	}
}

// String tells of a credential what anybody may know.
func (c ScramCredential) String() string { return "iterations=" + strconv.Itoa(c.Iterations) }

// GoString keeps the keys out of %#v.
func (c ScramCredential) GoString() string { return c.String() }

// Encode is the credential as it stands in the znode (Kafka: ScramCredentialUtils).
func (c ScramCredential) Encode() string {
	b64 := base64.StdEncoding.EncodeToString
	return "salt=" + b64(c.Salt) + ",stored_key=" + b64(c.StoredKey) + ",server_key=" + b64(c.ServerKey) +
		",iterations=" + strconv.Itoa(c.Iterations)
}

// ParseScramCredential reads what Encode wrote. The four fields may stand in any order; one that is missing, unknown
// or not readable is an error, which does not show the value.
func ParseScramCredential(text string) (ScramCredential, error) {
	var c ScramCredential
	fields := map[string]*[]byte{"salt": &c.Salt, "stored_key": &c.StoredKey, "server_key": &c.ServerKey}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch to := fields[name]; {
		case to != nil:
			*to, err = base64.StdEncoding.Strict().DecodeString(value)
			delete(fields, name)
		case name == "iterations" && c.Iterations == 0:
			c.Iterations, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown or repeated")
		}
		if err != nil {
			return ScramCredential{}, fmt.Errorf("SCRAM credential: a field is not readable")
		}
	}
	if len(fields) > 0 || c.Iterations < 1 {
		return ScramCredential{}, fmt.Errorf("SCRAM credential: a field is missing")
	}
	return c, nil
}

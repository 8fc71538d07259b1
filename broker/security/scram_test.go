package security

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kafkas is what kafka-configs of Kafka 3.9.1 wrote for the password "alice-secret" (golden/cli, case 286).
const kafkas = "salt=OGRsNDI4YmNjZnY3eHI3YmNkZHdma2Y4aA==,stored_key=DiEUMoICQSGAOp48KI/COjOxrYYriMBccOQYXKp9DTs=," +
	"server_key=F9uX07+Oio0ODuL1+qoXUkrhvERqWTtMuLD5amzQMyg=,iterations=8192"

func TestACredentialIsTheOneKafkaMakes(t *testing.T) {
	theirs, err := ParseScramCredential(kafkas)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := newScramCredential(ScramSHA256, "alice-secret", theirs.Salt, theirs.Iterations)
	if err != nil || ours.Encode() != kafkas {
		t.Errorf("%s, %v", ours.Encode(), err)
	}
}

func TestEachCredentialHasASaltOfItsOwn(t *testing.T) {
	for _, m := range ScramMechanisms {
		one, err := NewScramCredential(m, "secret", MinScramIterations)
		if err != nil {
			t.Fatal(err)
		}
		other, err := NewScramCredential(m, "secret", MinScramIterations)
		if err != nil {
			t.Fatal(err)
		}
		if cmp.Equal(one.Salt, other.Salt) || cmp.Equal(one.StoredKey, other.StoredKey) || len(one.StoredKey) != m.hash().Size() {
			t.Errorf("%s: %s and %s", m, one.Encode(), other.Encode())
		}
	}
	if _, err := NewScramCredential(ScramSHA256, "secret", 0); err == nil {
		t.Error("no iterations made a credential")
	}
	if _, err := NewScramCredential(0, "secret", 4096); err == nil {
		t.Error("no mechanism made a credential")
	}
}

func TestACredentialIsNotPrinted(t *testing.T) {
	c, err := ParseScramCredential(kafkas)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, c); got != "iterations=8192" {
			t.Errorf("%s shows %s", format, got)
		}
	}
}

func TestACredentialThatIsNotWholeIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"no salt":               "stored_key=YQ==,server_key=YQ==,iterations=4096",
		"no iterations":         "salt=YQ==,stored_key=YQ==,server_key=YQ==",
		"iterations of no kind": "salt=YQ==,stored_key=YQ==,server_key=YQ==,iterations=many",
		"negative iterations":   "salt=YQ==,stored_key=YQ==,server_key=YQ==,iterations=-1",
		"a salt not in base64":  "salt=*,stored_key=YQ==,server_key=YQ==,iterations=4096",
		"a field twice":         "salt=YQ==,salt=YQ==,stored_key=YQ==,server_key=YQ==,iterations=4096",
		"a field nobody knows":  "salt=YQ==,stored_key=YQ==,server_key=YQ==,iterations=4096,password=x",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := ParseScramCredential(text); err == nil {
				t.Errorf("read as %s", c.Encode())
			}
		})
	}
}

func TestAMechanismIsFoundByTheNameItHas(t *testing.T) {
	for _, m := range ScramMechanisms {
		if got, ok := ScramMechanismByName(m.String()); !ok || got != m {
			t.Errorf("%s is %s, %v", m, got, ok)
		}
	}
	for _, name := range []string{"", "UNKNOWN", "SCRAM-SHA-1", "scram-sha-256"} {
		if m, ok := ScramMechanismByName(name); ok {
			t.Errorf("%q is %s", name, m)
		}
	}
}

func FuzzParseScramCredential(f *testing.F) {
	f.Add(kafkas)
	f.Add("salt=,stored_key=,server_key=,iterations=1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseScramCredential(text)
		if err != nil {
			return
		}
		again, err := ParseScramCredential(c.Encode())
		if err != nil || again.Encode() != c.Encode() {
			t.Errorf("%q became %q, %v", text, again.Encode(), err)
		}
	})
}

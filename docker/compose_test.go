//go:build interop

package docker

import (
	"os/exec"
	"testing"
)

// compose.yml is checked against the schema of its format; there is no engine here to try it with.
func TestComposeFitsItsSchema(t *testing.T) {
	out, err := exec.Command("python3", "testdata/check_compose.py", "testdata/compose-spec.json", "compose.yml").CombinedOutput()
	if err != nil {
		t.Fatalf("%v (it needs python3 with yaml and jsonschema)\n%s", err, out)
	}
	t.Logf("%s", out)
}

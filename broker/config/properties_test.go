package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The wanted values are what java.util.Properties of Java 17 made of the texts.
func TestPropertiesMeanWhatTheyMeanToJava(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]string
	}{
		"three separators":                          {"a=1\nb:2\nc 3", map[string]string{"a": "1", "b": "2", "c": "3"}},
		"blanks around the separator go":            {"  a \t=\t 1  ", map[string]string{"a": "1  "}},
		"the second separator belongs to the value": {"a==1\nb=:2", map[string]string{"a": "=1", "b": ":2"}},
		"the last of two equal keys wins":           {"a=1\na=2", map[string]string{"a": "2"}},
		"a key alone has an empty value":            {"a\nb=\nc = ", map[string]string{"a": "", "b": "", "c": ""}},
		"comments and blank lines":                  {"# a=1\n  ! b=2\n\n \t\nc=3", map[string]string{"c": "3"}},
		"a hash behind a value is no comment":       {"a=1 # one", map[string]string{"a": "1 # one"}},
		"a backslash continues a line":              {"a=1,\\\n    2,\\\r\n  3", map[string]string{"a": "1,2,3"}},
		"a comment is not continued":                {"# a\\\nb=1", map[string]string{"b": "1"}},
		"a continued line may look like a comment":  {"a=1\\\n#2", map[string]string{"a": "1#2"}},
		"two backslashes are one":                   {`a=C:\\tmp\\`, map[string]string{"a": `C:\tmp\`}},
		"and continue no line":                      {"a=C:\\\\\nb=1", map[string]string{"a": `C:\`, "b": "1"}},
		"unknown escapes lose their backslash":      {`a=\z\:\=\#`, map[string]string{"a": "z:=#"}},
		"known escapes":                             {`a=\t\n\r\f|`, map[string]string{"a": "\t\n\r\f|"}},
		"escaped separators in a key":               {`a\=b\:c\ d=1`, map[string]string{"a=b:c d": "1"}},
		"a key may be continued":                    {"a\\\n  b=1", map[string]string{"ab": "1"}},
		"unicode escapes, also as pairs":            {`a=\u00e9\u20AC\ud83d\ude00`, map[string]string{"a": "é€😀"}},
		"bytes are ISO-8859-1":                      {"a=\xe9", map[string]string{"a": "é"}},
		"no ${} is resolved":                        {"a=${b}\nb=1", map[string]string{"a": "${b}", "b": "1"}},
		"a carriage return ends a line":             {"a=1\rb=2", map[string]string{"a": "1", "b": "2"}},
		"an empty key":                              {"=1", map[string]string{"": "1"}},
		"a backslash at the end":                    {"a=1\\", map[string]string{"a": "1"}},
		"nothing":                                   {"", map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseProperties([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestAMalformedUnicodeEscapeIsRefused(t *testing.T) {
	for _, text := range []string{`a=\u12`, `a=\u12g4`, `a=\u`, `\u1=b`, `a=\u+123`} {
		if got, err := ParseProperties([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}

func TestOverridesWinInTheirOrder(t *testing.T) {
	values := map[string]string{"a": "file", "b": "file"}
	Override(values, []string{"a=1", "a=2", "c=x=y", "d"})
	want := map[string]string{"a": "2", "b": "file", "c": "x=y", "d": ""}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Error(diff)
	}
}

// FuzzProperties: reading never panics, and what is written escaped is read back as it was.
func FuzzProperties(f *testing.F) {
	f.Add([]byte("a=1\\\n 2\n#c\n\\u0041:b"))
	f.Add([]byte("\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := ParseProperties(data)
		if err != nil {
			return
		}
		var text strings.Builder
		for k, v := range values {
			fmt.Fprintf(&text, "%s=%s\n", escaped(k), escaped(v))
		}
		again, err := ParseProperties([]byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values, again); diff != "" {
			t.Errorf("(-read +read again):\n%s", diff)
		}
	})
}

// escaped writes every character as \uXXXX.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xffff {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

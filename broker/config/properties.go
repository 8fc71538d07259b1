package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
)

// ReadFile reads a file in the format of java.util.Properties: ISO-8859-1 with \uXXXX, the last of two equal
// keys wins.
func ReadFile(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values, err := ParseProperties(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

// Override lays key=value words, as given to --override, over values; later ones win. As in Kafka a word
// without = sets an empty value.
func Override(values map[string]string, words []string) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		values[key] = value
	}
}

// ParseProperties is ReadFile for what is in memory. It is written here because files that Java reads must
// mean the same to us to the last backslash, and the known libraries part from Java at empty keys, at
// continued keys and at a backslash before the end. The only error is a malformed \uXXXX.
func ParseProperties(data []byte) (map[string]string, error) {
	values := map[string]string{}
	for len(data) > 0 {
		var line []byte
		var some bool
		if line, data, some = logicalLine(data); !some {
			continue
		}
		key, value := splitPair(line)
		k, err := unescape(key)
		if err != nil {
			return nil, err
		}
		if values[k], err = unescape(value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

const blanks = " \t\f"

// logicalLine takes the next line that is no comment, joined with those it is continued on: a line that ends
// in an odd number of backslashes goes on behind the blanks of the next one. some is false for comments and
// blank lines; a backslash that ends the file makes a line even of nothing, as in Java.
func logicalLine(data []byte) (line, rest []byte, some bool) {
	for {
		var natural []byte
		natural, data = naturalLine(data)
		natural = trimBlanks(natural)
		if len(line) == 0 && (len(natural) == 0 || natural[0] == '#' || natural[0] == '!') {
			return nil, data, false
		}
		backslashes := 0
		for backslashes < len(natural) && natural[len(natural)-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			line = append(line, natural...)
			return line, data, len(line) > 0
		}
		line = append(line, natural[:len(natural)-1]...)
		if len(data) == 0 {
			return line, nil, true
		}
	}
}

// naturalLine takes what ends at a line feed, a carriage return, or both.
func naturalLine(data []byte) (line, rest []byte) {
	for i, c := range data {
		switch {
		case c == '\r' && i+1 < len(data) && data[i+1] == '\n':
			return data[:i], data[i+2:]
		case c == '\n' || c == '\r':
			return data[:i], data[i+1:]
		}
	}
	return data, nil
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && strings.IndexByte(blanks, b[0]) >= 0 {
		b = b[1:]
	}
	return b
}

// splitPair cuts a line at the first =, : or blank that no backslash protects; blanks around the separator go.
func splitPair(line []byte) (key, value []byte) {
	end := 0
	for end < len(line) && strings.IndexByte("=:"+blanks, line[end]) < 0 {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	value = trimBlanks(line[end:])
	if len(value) > 0 && (value[0] == '=' || value[0] == ':') {
		value = trimBlanks(value[1:])
	}
	return line[:end], value
}

// unescape resolves backslashes in ISO-8859-1 text.
func unescape(text []byte) (string, error) {
	units := make([]uint16, 0, len(text)) // as in Java, so that a pair of \uXXXX makes one character
	for i := 0; i < len(text); i++ {
		c := uint16(text[i])
		if c == '\\' && i+1 < len(text) {
			i++
			switch c = uint16(text[i]); c {
			case 't':
				c = '\t'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 'f':
				c = '\f'
			case 'u':
				n, err := strconv.ParseUint(string(text[i+1:min(i+5, len(text))]), 16, 16)
				if err != nil || i+5 > len(text) {
					return "", fmt.Errorf("Malformed \\uxxxx encoding.")
				}
				c = uint16(n)
				i += 4
			}
		}
		units = append(units, c)
	}
	return string(utf16.Decode(units)), nil
}

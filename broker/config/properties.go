package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/magiconair/properties"
)

// ReadFile reads a file in the format of java.util.Properties: ISO-8859-1 with \uXXXX, the last of two equal keys wins.
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

// ParseProperties is ReadFile for what is in memory.
func ParseProperties(data []byte) (map[string]string, error) {
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	p, err := loader.LoadBytes(data)
	if err != nil {
		return nil, err
	}
	return p.Map(), nil
}

// Override lays key=value words, as given to --override, over values; later ones win. As in Kafka a word without = sets
// an empty value.
func Override(values map[string]string, words []string) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		values[key] = value
	}
}

package topic

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// ID is a topic id (KIP-516): a random UUID that tells two lives of one name apart. The zero ID means none.
type ID [16]byte

var idEncoding = base64.RawURLEncoding

// NewID draws a random (version 4) id. Like Java it never gives one whose text starts with a dash, because such a text
// looks like an option on a command line.
func NewID() ID {
	for {
		var id ID
		rand.Read(id[:])
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if id.String()[0] != '-' {
			return id
		}
	}
}

// ParseID reads the 22 characters of url-safe base64 without padding.
func ParseID(s string) (ID, error) {
	var id ID
	b, err := idEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return ID{}, fmt.Errorf("%q is not a topic id", s)
	}
	copy(id[:], b)
	return id, nil
}

// String is the id as Kafka prints it: 22 characters of url-safe base64.
func (id ID) String() string { return idEncoding.EncodeToString(id[:]) }

// IsZero tells whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

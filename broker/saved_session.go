package broker

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A broker that is killed leaves its ZooKeeper session behind, and with it the claim to its own id. The next process on
// the same log directories may close that session, because it knows the password and holds the directories' lock.
//
//	.zookeeper-session = id in 16 hex digits, ' ', password in 32 hex digits, '\n'
//
// Who can read the file can end the session, hence mode 0600. It need not survive a crash of the machine: by the time
// that is up again the session has expired.
const savedSessionFile = ".zookeeper-session"

// savedSession is what it takes to close a session from outside.
type savedSession struct {
	id       int64
	password []byte
}

const sessionPasswordSize = 16

func (s savedSession) format() string { return fmt.Sprintf("%016x %x\n", uint64(s.id), s.password) }

func parseSavedSession(text string) (savedSession, error) {
	malformed := errors.New(savedSessionFile + " is malformed")
	idText, passwordText, ok := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	if !ok || len(idText) != 16 {
		return savedSession{}, malformed
	}
	id, err := strconv.ParseUint(idText, 16, 64)
	if err != nil {
		return savedSession{}, malformed
	}
	password, err := hex.DecodeString(passwordText)
	if err != nil || len(password) != sessionPasswordSize {
		return savedSession{}, malformed
	}
	return savedSession{int64(id), password}, nil
}

func readSavedSession(dir string) (savedSession, error) {
	b, err := os.ReadFile(filepath.Join(dir, savedSessionFile))
	if err != nil {
		return savedSession{}, err
	}
	return parseSavedSession(string(b))
}

func writeSavedSession(dir string, s savedSession) error {
	path := filepath.Join(dir, savedSessionFile)
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) { // its mode may be another
		return err
	}
	if err := os.WriteFile(tmp, []byte(s.format()), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func removeSavedSession(dir string) error { return os.Remove(filepath.Join(dir, savedSessionFile)) }

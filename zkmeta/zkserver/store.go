package zkserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// versionDir is the folder inside Dir with the files, named by their format.
const versionDir = "version-2"

// temporaryPrefix begins the name of a snapshot that is being written.
const temporaryPrefix = "tmp."

// store is the files of a server. Until Start returns it belongs to Start, then the log to the committer and the
// snapshots to the snapshot goroutine, of which there is one at a time.
type store struct {
	snapDir, logDir string
	lock            *os.File
	log             txnLog
	logger          *zap.Logger
}

// state is what the files hold.
type state struct {
	tree     *tree
	sessions map[int64]time.Duration // timeout by id
	replayed int                     // transactions read behind the snapshot
}

// openStore locks the folders, making them if need be, and reads the newest snapshot and the log behind it. A torn
// end of the log is cut off.
func openStore(dir, logDir string, logger *zap.Logger) (_ *store, _ *state, err error) {
	s := &store{snapDir: filepath.Join(dir, versionDir), logDir: filepath.Join(logDir, versionDir), logger: logger}
	for _, d := range []string{s.snapDir, s.logDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, nil, err
		}
	}
	if s.lock, err = lockFile(filepath.Join(s.snapDir, ".lock")); err != nil {
		return nil, nil, fmt.Errorf("%s is in use by another server: %w", dir, err)
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	s.log.dir = s.logDir
	leftovers, _ := filepath.Glob(filepath.Join(s.snapDir, temporaryPrefix+"*")) // a crash interrupted them
	for _, path := range leftovers {
		os.Remove(path)
	}
	st, fresh, err := s.load()
	if err != nil {
		return nil, nil, err
	}
	if fresh { // a Java server wants one, and so it is known from now on that there was data here
		if err := takeSnapshot(st.tree, st.sessions).save(s.snapDir); err != nil {
			return nil, nil, err
		}
	}
	return s, st, nil
}

// load reads the state; fresh tells that there were no files at all.
func (s *store) load() (st *state, fresh bool, err error) {
	snapshots, err := listFiles(s.snapDir, "snapshot")
	if err != nil {
		return nil, false, err
	}
	logs, err := listFiles(s.logDir, "log")
	if err != nil {
		return nil, false, err
	}
	st, err = s.newestSnapshot(snapshots)
	if err != nil {
		return nil, false, err
	}
	if st == nil {
		if len(logs) > 0 && logs[0] > 1 {
			return nil, false, fmt.Errorf("%s: the log starts at %s and there is no snapshot", s.logDir, hex(logs[0]))
		}
		st = &state{tree: newTree(), sessions: map[int64]time.Duration{}}
	}
	first := 0
	for i, zxid := range logs {
		if zxid <= st.tree.zxid+1 {
			first = i
		}
	}
	for i, zxid := range logs[first:] {
		if err := s.replay(st, zxid, first+i == len(logs)-1); err != nil {
			return nil, false, err
		}
	}
	return st, len(snapshots)+len(logs) == 0, nil
}

// newestSnapshot reads the newest snapshot that is whole; nil when there are none.
func (s *store) newestSnapshot(zxids []int64) (*state, error) {
	for _, zxid := range slices.Backward(zxids) {
		path := filepath.Join(s.snapDir, fileName("snapshot", zxid))
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		tree, sessions, err := readSnapshot(file, zxid)
		if err == nil {
			return &state{tree: tree, sessions: sessions}, nil
		}
		s.logger.Warn("snapshot is damaged, trying the one before", zap.String("file", path), zap.Error(err))
	}
	if len(zxids) > 0 {
		return nil, fmt.Errorf("%s: no snapshot is whole", s.snapDir)
	}
	return nil, nil
}

// replay applies the log file that starts at zxid.
func (s *store) replay(st *state, zxid int64, last bool) error {
	path := filepath.Join(s.logDir, fileName("log", zxid))
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	begin := true
	whole, torn, err := readLog(file, info.Size(), func(h txnHeader, t *txn) error {
		if h.zxid <= st.tree.zxid {
			begin = false
			return nil
		}
		if begin && h.zxid != st.tree.zxid+1 && h.zxid>>32 == st.tree.zxid>>32 {
			return fmt.Errorf("transactions %s to %s are missing", hex(st.tree.zxid+1), hex(h.zxid-1))
		}
		begin = false
		st.apply(h, t)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if torn && last {
		s.logger.Warn("the last transactions of the log were not whole and are cut off", zap.String("file", path),
			zap.Int64("kept_bytes", whole), zap.Int64("cut_bytes", info.Size()-whole))
	}
	switch {
	case last && whole <= headerSize: // its name will be needed again
		err = os.Remove(path)
	case last && torn:
		err = os.Truncate(path, whole)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(s.logDir)
}

func (st *state) apply(h txnHeader, t *txn) {
	switch t.op {
	case opCreateSession:
		st.sessions[h.session] = time.Duration(t.timeoutMS) * time.Millisecond
	case opCloseSession:
		delete(st.sessions, h.session)
	}
	st.tree.apply(h, t)
	st.replayed++
}

// purge deletes all but the newest snapshots, and the logs none of those needs.
func (s *store) purge(keep int) error {
	snapshots, err := listFiles(s.snapDir, "snapshot")
	if err != nil || len(snapshots) <= keep {
		return err
	}
	logs, err := listFiles(s.logDir, "log")
	if err != nil {
		return err
	}
	old := len(snapshots) - keep
	for _, zxid := range snapshots[:old] {
		err = errors.Join(err, os.Remove(filepath.Join(s.snapDir, fileName("snapshot", zxid))))
	}
	for i := 0; i+1 < len(logs) && logs[i+1] <= snapshots[old]+1; i++ {
		err = errors.Join(err, os.Remove(filepath.Join(s.logDir, fileName("log", logs[i]))))
	}
	return err
}

// close gives the folders back.
func (s *store) close() error { return errors.Join(s.log.roll(), s.lock.Close()) }

func fileName(prefix string, zxid int64) string {
	return prefix + "." + strconv.FormatUint(uint64(zxid), 16)
}

// listFiles gives the zxids in the names of a kind of file, in order.
func listFiles(dir, prefix string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var zxids []int64
	for _, e := range entries {
		digits, found := strings.CutPrefix(e.Name(), prefix+".")
		if !found {
			continue
		}
		zxid, err := strconv.ParseInt(digits, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: a file of this name is not understood", filepath.Join(dir, e.Name()))
		}
		zxids = append(zxids, zxid)
	}
	slices.Sort(zxids)
	return zxids, nil
}

package storage

import (
	"bytes"
	"path/filepath"
)

// bootFile keeps, in each log directory, which run of the machine last wrote there. Kafka ignores plain files
// beside the partitions. It is not synced: where it is lost, so may be what it speaks of.
const bootFile = ".zurau_boot"

// takeBoot tells whether the machine is still in the run in which the last process used the directory, so that
// everything that process wrote is there, synced or not. From now on it is this process that is asked about.
func (d *logDir) takeBoot(boot []byte) (same bool, err error) {
	path := filepath.Join(d.path, bootFile)
	last, err := readFile(d.disk, path)
	if len(boot) == 0 || err == nil && bytes.Equal(last, boot) {
		return len(boot) > 0, nil
	}
	return false, writeNewFile(d.disk, path, boot, false)
}

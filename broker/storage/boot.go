package storage

import (
	"bytes"
	"path/filepath"
)

// bootFile keeps, in each log directory, which run of the machine last wrote there. Kafka ignores plain files
// beside the partitions. It is not synced: where it is lost, so may be what it speaks of.
const bootFile = ".zurau_boot"

// sameBoot tells whether the machine is still in the run in which the last process used the directory, so that
// everything that process wrote is there, synced or not.
func (d *logDir) sameBoot(boot []byte) bool {
	last, err := readFile(d.disk, filepath.Join(d.path, bootFile))
	return err == nil && len(boot) > 0 && bytes.Equal(last, boot)
}

// noteBoot makes this process the one that is asked about. It comes behind what was found out about the last one: a process
// that dies in between leaves the question open.
func (d *logDir) noteBoot(boot []byte, same bool) error {
	if same {
		return nil
	}
	return writeNewFile(d.disk, filepath.Join(d.path, bootFile), boot, false)
}

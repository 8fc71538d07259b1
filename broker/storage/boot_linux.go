package storage

import "os"

// bootID names this run of the machine, empty when it is not known.
func bootID() []byte {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	return id
}

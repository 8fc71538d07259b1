//go:build !linux

package main

import (
	"os/exec"
	"strconv"
	"strings"
)

// processes lists what runs on this machine, as ps shows it; arguments with blanks come apart.
func processes() ([]process, error) {
	out, err := exec.Command("ps", "-axo", "pid=,args=").Output()
	if err != nil {
		return nil, err
	}
	var all []process
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		if pid, err := strconv.Atoi(words[0]); err == nil {
			all = append(all, process{pid, words[1:]})
		}
	}
	return all, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// link makes, in the folder that holds the program, a link for each tool that has a script in Kafka:
// kafka-topics.sh and kafka-topics. The names come from the table of commands and from nowhere else.
func link(_ context.Context, args []string, io stdio) int {
	if len(args) != 1 {
		fmt.Fprintln(io.Err, "USAGE: zurau link folder")
		return 1
	}
	for _, c := range commands {
		if !c.isScript() {
			continue
		}
		for _, name := range []string{c.Name, c.Name + ".sh"} {
			path := filepath.Join(args[0], name)
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintln(io.Err, err)
				return 1
			}
			if err := os.Symlink("zurau", path); err != nil {
				fmt.Fprintln(io.Err, err)
				return 1
			}
		}
	}
	return 0
}

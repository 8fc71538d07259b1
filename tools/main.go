// Command zurau is the broker and all its tools in one binary. A tool is chosen by the name the program is
// called by (bin/kafka-topics.sh is a link to it) or by the first word: zurau kafka-topics, zurau topics.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"
)

// version is ours; kafkaVersion is the release of Apache Kafka we are measured by and answer as.
var version = "0.1.0"

const kafkaVersion = "3.9.1"

func main() {
	if len(os.Args) == 3 && os.Args[1] == watchdogWord {
		os.Exit(watchSession(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal kills
	os.Exit(dispatch(ctx, os.Args, stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// dispatch runs the tool that the program's name or first argument asks for and gives its exit status.
func dispatch(ctx context.Context, args []string, io stdio) int {
	if c, ok := findCommand(filepath.Base(args[0])); ok {
		return c.Run(ctx, args[1:], io)
	}
	status := 0
	app := &cli.App{
		Name:      "zurau",
		Usage:     "Apache Kafka in ZooKeeper mode, in one binary",
		UsageText: "zurau <tool> [arguments]   or by its own name: bin/kafka-topics.sh [arguments]",
		Version:   fmt.Sprintf("%s (speaks as Apache Kafka %s)", version, kafkaVersion),
		Reader:    io.In, Writer: io.Out, ErrWriter: io.Err,
		HideHelpCommand: false,
		CommandNotFound: func(_ *cli.Context, name string) {
			fmt.Fprintf(io.Err, "zurau: no tool is called %s; zurau help lists them\n", name)
			status = 1
		},
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, c := range commands {
		app.Commands = append(app.Commands, &cli.Command{
			Name: c.Name, Usage: c.Summary,
			SkipFlagParsing: true, HideHelp: true, // the tools read their arguments as Kafka's do
			Action: func(cc *cli.Context) error {
				status = c.Run(cc.Context, cc.Args().Slice(), io)
				return nil
			},
		})
	}
	words := append([]string{"zurau"}, args[1:]...)
	if len(words) > 1 {
		if c, ok := findCommand(words[1]); ok {
			words[1] = c.Name
		}
	}
	if err := app.RunContext(ctx, words); err != nil {
		fmt.Fprintln(io.Err, "zurau:", err)
		return 1
	}
	return status
}

package main

import (
	"strings"
	"testing"
)

// The lines are those of golden/cli 2.8.2/415 and 416.
func TestComplaintsAreFilledToTheWidth(t *testing.T) {
	for complaint, want := range map[string]string{
		"Either --producer-props or --producer.config must be specified.": "producer-performance: error: Either  " +
			"--producer-props  or --producer.config\nmust be specified.\n",
		"argument --payload-file: not allowed with argument --record-size": "producer-performance: error:  argument  " +
			"--payload-file:  not  allowed  with\nargument --record-size\n",
	} {
		if got := justify("producer-performance: error: "+complaint, argparseWidth); got != want {
			t.Errorf("%q", got)
		}
	}
	if got := justify(strings.Repeat("x", 200), argparseWidth); got != strings.Repeat("x", 200)+"\n" {
		t.Errorf("%q", got)
	}
}

func TestArgumentsOfThePerformanceTest(t *testing.T) {
	const needed = "--topic t --num-records 1 --throughput -1 "
	for args, want := range map[string]string{
		needed + "--record-size 1":                          "",
		needed + "--record-size=1":                          "",
		needed + "--payload-file f":                         "",
		needed + "--record-size 1 --producer-props a=b c=d": "",
		"--num-records 1":                                   "argument --topic is required",
		needed:                                              "one of the arguments --record-size --payload-file is required",
		needed + "--record-size x":                          "argument --record-size: could not convert 'x' to Integer",
		needed + "--record-size":                            "argument --record-size: expected one argument",
		needed + "--record-size 1 --payload-file f":         "argument --payload-file: not allowed with argument --record-size",
		needed + "--record-size 1 stray":                    "unrecognized arguments: 'stray'",
		needed + "--record-size 1 --nonsense":               "unrecognized arguments: '--nonsense'",
	} {
		_, err := performanceParser.parse(strings.Fields(args))
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v", args, err)
		}
	}
	got, err := performanceParser.parse(strings.Fields(needed + "--record-size 5 --producer-props a=b c=d --print-metrics"))
	if err != nil || got.int64("--record-size") != 5 || len(got["--producer-props"]) != 2 || !got.has("--print-metrics") ||
		got.int64("--throughput") != -1 || got.str("--payload-delimiter") != `\n` {
		t.Errorf("%v %v", got, err)
	}
}

//go:build race

package brokertest

// raceEnabled says that memory is not what it would be: the race detector takes several times as much.
const raceEnabled = true

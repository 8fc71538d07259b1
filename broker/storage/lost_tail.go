package storage

import (
	"fmt"

	"github.com/zurau/zurau/broker/topic"
)

// lostTailFile lists, in each log directory, the logs that may have lost their tail and have not got it back, with the log
// end they were found with. It has the form of the offset checkpoints; Kafka ignores it.
const lostTailFile = ".zurau_lost_tail"

// lostTail tells why a log that was found to end at end may once have been longer, "" when it cannot. A process that was
// merely killed has lost nothing, since the kernel keeps what it wrote; a machine that went down may have kept any part of
// what was not flushed, and from what is left it does not show.
func (o loadOptions) lostTail(end int64) string {
	switch {
	case o.tailWasLost:
		return "it was found so at an earlier start"
	case end < o.recoveryPoint:
		return fmt.Sprintf("it was flushed up to offset %d", o.recoveryPoint)
	case !o.clean && !o.sameBoot:
		return "the machine has been restarted since, without a clean stop before"
	}
	return ""
}

// noteLostTail keeps what lostTail says about the log that was loaded.
func (l *Log) noteLostTail(o loadOptions, end int64) {
	because := o.lostTail(end)
	if because == "" {
		return
	}
	l.tailLost.Store(true)
	l.warn("The log ends at offset %d and may have been longer: %s", end, because)
}

// TailLost tells whether the log may lack records at its end that were acknowledged. Its replica must not lead before
// another one has been heard that has them, if there is one.
func (l *Log) TailLost() bool { return l.tailLost.Load() }

// RestoreTail says that the log lacks nothing any more that can be had. It tells whether it lacked anything before. The
// file on disk follows with the next checkpoint of the high watermarks.
func (l *Log) RestoreTail() bool {
	if !l.tailLost.CompareAndSwap(true, false) {
		return false
	}
	l.home.tailsChanged.Store(true)
	return true
}

// LostTails are the log ends of the logs that may have lost their tail, as they are now.
func (m *Manager) LostTails() map[topic.Partition]int64 {
	var lost map[topic.Partition]int64
	for _, l := range m.Logs() {
		if l.TailLost() && l.Err() == nil {
			if lost == nil {
				lost = make(map[topic.Partition]int64)
			}
			lost[l.partition] = l.View().LogEndOffset
		}
	}
	return lost
}

// saveLostTails brings the file of a directory up to date.
func (m *Manager) saveLostTails(d *logDir) error {
	if !d.tailsChanged.CompareAndSwap(true, false) {
		return nil
	}
	return d.writeOffsets(lostTailFile, func() map[topic.Partition]int64 { return m.lostTailsOf(d) })
}

func (m *Manager) lostTailsOf(d *logDir) map[topic.Partition]int64 {
	return m.byDir(d, func(l *Log) (int64, bool) { return l.View().LogEndOffset, l.TailLost() })
}

// readLostTails reads what an earlier process left; nil when there is nothing.
func (d *logDir) readLostTails() map[topic.Partition]int64 {
	return d.readLenient(lostTailFile, "and logs that have lost their tail are taken for whole")
}

// Package broker is the composition root: which rooms a broker has, in which order they start, and how they stop.
// Read Broker.Start first; it is the house on one page.
package broker

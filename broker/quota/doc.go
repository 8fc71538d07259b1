// Package quota bounds what a broker lets itself be asked for. It knows rates and limits; who is asked to wait, and
// how, is the caller's business.
//
// So far it has the throttles of replication (KIP-73), which an operator sets for the time of a reassignment.
package quota

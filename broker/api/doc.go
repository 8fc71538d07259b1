// Package api says what each request means: one file per request, named by its key. A request walks through here by
// plain calls: authorize, validate, ask one room below, shape the answer. A handler never owns state; what outlives it
// belongs to the rooms below, fetch sessions excepted (fetch_session.go).
//
// The walk of a produce is the example to read first: table.go -> 00_produce.go -> replica/manager.go ->
// replica/leader.go -> storage/log.go, and back by return.
package api

package zkserver

type snapshot struct{}

package wire

// Listener is one address the server listens on.
type Listener struct {
	Name             string // as in the key listeners: "PLAINTEXT", "INTERNAL"
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host             string // "" means all interfaces
	Port             int    // 0 lets the kernel choose
}

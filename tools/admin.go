package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/producer"
	"go.uber.org/zap"
)

// apiTimeout is how long an admin call may take, all tries together (Java: default.api.timeout.ms).
const apiTimeout = 60 * time.Second

// requestTimeout is how long a broker may take over one admin request (Java: request.timeout.ms).
const requestTimeout = 30 * time.Second

// adminClient makes the admin calls of the tools, one request a call, as Java's Admin does. Errors are *javaError.
type adminClient struct {
	client *kgo.Client
	stderr io.Writer // where a person is told what we wait for
}

// newAdmin connects to bootstrap, a comma-separated list, with the client properties of a file ("" for none). What Java
// would log about servers out of reach goes to stderr.
func newAdmin(bootstrap, propertiesFile string, stderr io.Writer) (*adminClient, error) {
	return newAdminNamed("AdminClient", "adminclient-1", bootstrap, propertiesFile, stderr)
}

// newAdminNamed is newAdmin under the names of another kind of Java client.
func newAdminNamed(kind, name, bootstrap, propertiesFile string, stderr io.Writer) (*adminClient, error) {
	props, err := loadProperties(propertiesFile)
	if err != nil {
		return nil, err
	}
	for _, key := range props.Keys() {
		value := props.GetString(key, "")
		switch key {
		case "bootstrap.servers":
		case "client.id":
			name = value
		case "security.protocol":
			if value != "PLAINTEXT" {
				return nil, notHonoured(key, value)
			}
		default:
			return nil, notHonoured(key, value)
		}
	}
	servers, err := parseServers(bootstrap)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(servers...),
		kgo.ClientID(name),
		kgo.RetryTimeout(apiTimeout),
		kgo.RequestRetries(1000), // the timeout ends the tries
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.WithHooks(&connectWarner{kind + " clientId=" + name, newToolLogger(stderr)}),
	)
	if err != nil {
		return nil, illegalArgument("%s", err)
	}
	return &adminClient{client, stderr}, nil
}

func (a *adminClient) close() { a.client.Close() }

// ask sends req to the broker it belongs to, retrying as its kind allows.
func ask[R kmsg.Response](ctx context.Context, a *adminClient, req kmsg.Request) (R, error) {
	if anyBroker(req) {
		return askWith[R](ctx, a, seeds{a.client}, req)
	}
	return askWith[R](ctx, a, a.client, req)
}

// anyBroker reports whether every broker can answer req: the metadata, and the configuration of all but brokers.
func anyBroker(req kmsg.Request) bool {
	ofBroker := func(kind kmsg.ConfigResourceType) bool {
		return kind == kmsg.ConfigResourceTypeBroker || kind == kmsg.ConfigResourceTypeBrokerLogger
	}
	switch r := req.(type) {
	case *kmsg.MetadataRequest:
		return true
	case *kmsg.DescribeConfigsRequest:
		return !slices.ContainsFunc(r.Resources, func(c kmsg.DescribeConfigsRequestResource) bool {
			return ofBroker(c.ResourceType)
		})
	case *kmsg.IncrementalAlterConfigsRequest:
		return !slices.ContainsFunc(r.Resources, func(c kmsg.IncrementalAlterConfigsRequestResource) bool {
			return ofBroker(c.ResourceType)
		})
	}
	return false
}

// seeds are the brokers of the bootstrap list, asked in turn until one answers: another broker that the cluster still
// takes for living may be frozen, and would keep the tool.
type seeds struct{ client *kgo.Client }

// Request implements requester.
func (s seeds) Request(ctx context.Context, req kmsg.Request) (resp kmsg.Response, err error) {
	for _, b := range s.client.SeedBrokers() {
		if resp, err = b.RetriableRequest(ctx, req); err == nil || ctx.Err() != nil {
			return resp, err
		}
	}
	return nil, err
}

// askBroker sends req to one broker.
func askBroker[R kmsg.Response](ctx context.Context, a *adminClient, id int32, req kmsg.Request) (R, error) {
	return askWith[R](ctx, a, a.client.Broker(int(id)), req)
}

// requester is a client or one broker of it.
type requester interface {
	Request(context.Context, kmsg.Request) (kmsg.Response, error)
}

func askWith[R kmsg.Response](ctx context.Context, a *adminClient, to requester, req kmsg.Request) (R, error) {
	defer showWaiting(a.stderr, "waiting for the brokers")()
	limited, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	resp, err := to.Request(limited, req)
	for backoff := reconnectBackoff; isDialError(err) && pause(limited, backoff) == nil; backoff = min(2*backoff, time.Second) {
		resp, err = to.Request(limited, req)
	}
	if err == nil {
		return resp.(R), nil
	}
	var none R
	if ctx.Err() != nil {
		return none, &javaError{class: "java.lang.InterruptedException", message: context.Cause(ctx).Error()}
	}
	call := kmsg.NameForKey(req.Key())
	call = strings.ToLower(call[:1]) + call[1:]
	return none, &javaError{
		class:   kafkaErrors + "TimeoutException",
		message: fmt.Sprintf("Timed out waiting for a node assignment. Call: %s (%v)", call, err),
	}
}

// reconnectBackoff is the first pause before a server that did not answer is tried again (Java: reconnect.backoff.ms).
const reconnectBackoff = 50 * time.Millisecond

// isDialError reports whether a server could not be reached at all, which Java's client waits out.
func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// pause waits d; the error says that ctx ended first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// parseServers splits a bootstrap list and refuses what has no port.
func parseServers(list string) ([]string, error) {
	var servers []string
	for server := range strings.SplitSeq(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		if _, port, err := net.SplitHostPort(server); err != nil || port == "" {
			return nil, &javaError{
				class:   configException,
				message: "Invalid url in bootstrap.servers: " + server,
			}
		}
		servers = append(servers, server)
	}
	if len(servers) == 0 {
		return nil, &javaError{
			class:   configException,
			message: "No resolvable bootstrap urls given in bootstrap.servers",
		}
	}
	return servers, nil
}

// loadProperties reads a Java .properties file; no name gives no properties.
func loadProperties(file string) (*properties.Properties, error) {
	if file == "" {
		return properties.NewProperties(), nil
	}
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	props, err := loader.LoadFile(file)
	if err != nil {
		return nil, &javaError{class: "java.nio.file.NoSuchFileException", message: file}
	}
	return props, nil
}

// notHonoured refuses a client property by name, so that nobody believes it works.
func notHonoured(key, value string) error {
	return &javaError{
		class:   configException,
		message: fmt.Sprintf("Invalid value %s for configuration %s: this tool does not honour it yet", value, key),
	}
}

// connectWarner logs servers that cannot be reached, as Java's NetworkClient does.
type connectWarner struct {
	client string // kind and client id
	log    *zap.Logger
}

// OnBrokerConnect implements kgo.HookBrokerConnect. Bootstrap servers have negative ids.
func (w *connectWarner) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		producer.WarnUnreachable(w.log, w.client, meta.NodeID, net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port))))
	}
}

package zkmeta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Endpoint is one advertised listener of a broker.
type Endpoint struct {
	Listener         string // its name, "INTERNAL"
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host             string
	Port             int32
}

// String is the endpoint as znodes and configurations spell it, "INTERNAL://h:9092".
func (e Endpoint) String() string {
	return e.Listener + "://" + net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// BrokerInfo is what a broker says of itself in /brokers/ids/N.
type BrokerInfo struct {
	ID        int32
	Endpoints []Endpoint
	Rack      string // "" = none
	JMXPort   int32  // -1 = off
	Timestamp int64  // ms since 1970, when it was written
	Features  map[string]FeatureRange

	Epoch int64 // the broker epoch: czxid of the znode; known after reading and registering
	Owner int64 // session of the broker; known after reading
}

// FeatureRange are the versions of one feature a broker supports.
type FeatureRange struct{ Min, Max int16 }

// Endpoint finds a listener by name.
func (b BrokerInfo) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// encodeBroker writes version 5, the form of all supported levels. Old clients read host and port, which are those of
// the first plain-text endpoint, or null and -1.
func encodeBroker(b BrokerInfo) []byte {
	host, port := "", int32(-1)
	if i := slices.IndexFunc(b.Endpoints, func(e Endpoint) bool { return e.SecurityProtocol == "PLAINTEXT" }); i >= 0 {
		host, port = b.Endpoints[i].Host, b.Endpoints[i].Port
	}
	o := append(appendKey([]byte("{"), "features"), '{')
	for _, name := range sortedKeys(b.Features) {
		o = append(appendKey(o, name), '{')
		o = appendIntField(o, "min_version", int64(b.Features[name].Min))
		o = append(appendIntField(o, "max_version", int64(b.Features[name].Max)), '}')
	}
	o = append(o, '}')
	o = append(appendKey(o, "listener_security_protocol_map"), '{')
	for _, e := range b.Endpoints {
		o = appendStringField(o, e.Listener, e.SecurityProtocol)
	}
	o = append(o, '}')
	o = append(appendKey(o, "endpoints"), '[')
	for i, e := range b.Endpoints {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendString(o, e.String())
	}
	o = append(o, ']')
	if b.Rack != "" {
		o = appendStringField(o, "rack", b.Rack)
	}
	o = appendIntField(o, "jmx_port", int64(b.JMXPort))
	o = appendIntField(o, "port", int64(port))
	if port < 0 {
		o = append(appendKey(o, "host"), jsonNull...)
	} else {
		o = appendStringField(o, "host", host)
	}
	o = appendIntField(o, "version", 5)
	o = appendStringField(o, "timestamp", strconv.FormatInt(b.Timestamp, 10))
	return append(o, '}')
}

// decodeBroker reads versions 1 (0.8) to 5, and later ones as if they were 5.
func decodeBroker(id int32, data []byte, stat *Stat) (BrokerInfo, error) {
	o, err := parseObject(data)
	if err != nil {
		return BrokerInfo{}, err
	}
	b := BrokerInfo{ID: id, Epoch: stat.Czxid, Owner: stat.EphemeralOwner}
	version, err := get[int32](o, "version")
	if err == nil && version < 1 {
		err = fmt.Errorf("version %d is below 1", version)
	}
	if err != nil {
		return BrokerInfo{}, err
	}
	if b.JMXPort, err = get[int32](o, "jmx_port"); err != nil {
		return BrokerInfo{}, err
	}
	if o.has("timestamp") { // nobody depends on it
		b.Timestamp, _ = getText(o, "timestamp")
	}
	if b.Rack, err = getOr(o, "rack", ""); err != nil {
		return BrokerInfo{}, err
	}
	if b.Endpoints, err = decodeEndpoints(o, version); err != nil {
		return BrokerInfo{}, err
	}
	if version >= 5 && o.has("features") {
		features, err := get[map[string]struct {
			Min *int16 `json:"min_version"`
			Max *int16 `json:"max_version"`
		}](o, "features")
		if err != nil {
			return BrokerInfo{}, err
		}
		for name, f := range features {
			if f.Min == nil || f.Max == nil || *f.Min < 1 || *f.Max < *f.Min {
				return BrokerInfo{}, fmt.Errorf("feature %q has no range of versions", name)
			}
			if b.Features == nil {
				b.Features = map[string]FeatureRange{}
			}
			b.Features[name] = FeatureRange{*f.Min, *f.Max}
		}
	}
	return b, nil
}

func decodeEndpoints(o object, version int32) ([]Endpoint, error) {
	if version == 1 {
		host, err := get[string](o, "host")
		if err != nil {
			return nil, err
		}
		port, err := get[int32](o, "port")
		if err != nil {
			return nil, err
		}
		return []Endpoint{{"PLAINTEXT", "PLAINTEXT", host, port}}, nil
	}
	texts, err := get[[]string](o, "endpoints")
	if err != nil {
		return nil, err
	}
	protocols, err := getOr[map[string]string](o, "listener_security_protocol_map", nil)
	if err != nil {
		return nil, err
	}
	endpoints := make([]Endpoint, len(texts))
	for i, text := range texts {
		if endpoints[i], err = parseEndpoint(text, protocols); err != nil {
			return nil, err
		}
	}
	return endpoints, nil
}

// Hosts as Kafka's EndPoint takes them: names, addresses, IPv6 with or without brackets, or nothing.
var endpointForm = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseEndpoint reads "LISTENER://host:port"; without a map the listener's name is its protocol.
func parseEndpoint(text string, protocols map[string]string) (Endpoint, error) {
	m := endpointForm.FindStringSubmatch(text)
	if m == nil {
		return Endpoint{}, fmt.Errorf("%q is not an endpoint", text)
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return Endpoint{}, fmt.Errorf("%q is not an endpoint", text)
	}
	listener := strings.ToUpper(m[1])
	protocol := listener
	if protocols != nil {
		var ok bool
		if protocol, ok = protocols[listener]; !ok {
			return Endpoint{}, fmt.Errorf("the security protocol of listener %s is missing", listener)
		}
	}
	switch protocol {
	case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
		return Endpoint{listener, protocol, m[2], int32(port)}, nil
	}
	return Endpoint{}, fmt.Errorf("%q is not a security protocol", protocol)
}

// EndpointTakenError says that another broker advertises a host and port that the new one wants to.
type EndpointTakenError struct {
	Endpoint Endpoint
	By       int32
}

func (e *EndpointTakenError) Error() string {
	return fmt.Sprintf("requirement failed: Configured end points %s:%d in advertised listeners are already registered by broker %d",
		e.Endpoint.Host, e.Endpoint.Port, e.By)
}

// CheckEndpoints refuses a broker whose advertised addresses collide with those of another one.
func CheckEndpoints(b BrokerInfo, others map[int32]BrokerInfo) error {
	for _, id := range sortedKeys(others) {
		if id == b.ID {
			continue
		}
		for _, theirs := range others[id].Endpoints {
			for _, ours := range b.Endpoints {
				if ours.Host == theirs.Host && ours.Port == theirs.Port {
					return &EndpointTakenError{ours, id}
				}
			}
		}
	}
	return nil
}

// BrokerExistsError says that a living foreign session holds the broker id.
type BrokerExistsError struct {
	ID    int32
	Owner int64  // the session
	Data  string // what the other one registered
}

func (e *BrokerExistsError) Error() string {
	return fmt.Sprintf("broker id %d is registered already, by session %s: %s", e.ID, sessionText(e.Owner), e.Data)
}
func (e *BrokerExistsError) Unwrap() error { return ErrNodeExists }

// RegisterBroker makes /brokers/ids/N and gives the broker epoch. The znode of an earlier session of this client, which
// the server has not removed yet (KAFKA-7165), is replaced; that of a foreign session gives a *BrokerExistsError.
func (s *Session) RegisterBroker(ctx context.Context, b BrokerInfo) (epoch int64, err error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if b.Timestamp == 0 {
		b.Timestamp = time.Now().UnixMilli()
	}
	path, data := BrokerIDPath(b.ID), encodeBroker(b)
	err = s.settle(ctx, func() error {
		for {
			// Two steps in one transaction, because setData's answer has the czxid and create's has not.
			stats, err := s.multi(ctx, createOp(path, nil, Ephemeral), setOp(path, data, 0))
			if err == nil {
				epoch = stats[1].Czxid
				return nil
			}
			if !errors.Is(err, ErrNodeExists) {
				return err
			}
			mine, err := s.ownRegistration(ctx, path, b.ID)
			if err != nil || mine != 0 {
				epoch = mine
				return err
			}
		}
	}, func() (bool, error) {
		mine, err := s.ownRegistration(ctx, path, b.ID)
		epoch = mine
		return mine != 0, err
	})
	if err != nil {
		return 0, err
	}
	c := s.client
	c.mu.Lock()
	c.mu.registrar = s.id
	c.mu.Unlock()
	return epoch, nil
}

// ownRegistration looks whose registration there is: the epoch of one made by this session, 0 when there is none or
// it was a zombie of ours and is deleted now, an error when it is another's.
func (s *Session) ownRegistration(ctx context.Context, path string, id int32) (int64, error) {
	data, stat, err := s.getSettled(ctx, path)
	if errors.Is(err, ErrNoNode) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s.client.mu.Lock()
	before := s.client.mu.registrar
	s.client.mu.Unlock()
	switch owner := stat.EphemeralOwner; {
	case owner == s.id:
		return stat.Czxid, nil
	case owner != 0 && owner == before:
		err := s.Delete(ctx, path, stat.Version)
		if errors.Is(err, ErrNoNode) || errors.Is(err, ErrBadVersion) {
			err = nil // somebody else was faster; the next look tells who
		}
		return 0, err
	}
	return 0, &BrokerExistsError{id, stat.EphemeralOwner, string(data)}
}

// UpdateBroker rewrites this session's registration, for endpoints that changed. The broker epoch stays.
func (s *Session) UpdateBroker(ctx context.Context, b BrokerInfo) error {
	if b.Timestamp == 0 {
		b.Timestamp = time.Now().UnixMilli()
	}
	return s.setLast(ctx, BrokerIDPath(b.ID), encodeBroker(b))
}

// AwaitBrokerGone waits until nobody holds a broker id. It gives the last holder with ctx's error.
func (s *Session) AwaitBrokerGone(ctx context.Context, id int32) error {
	changed := make(chan struct{}, 1)
	watch := s.WatchData(BrokerIDPath(id), func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer watch.Stop()
	for {
		data, stat, err := s.Get(ctx, BrokerIDPath(id))
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", cause(ctx), &BrokerExistsError{id, stat.EphemeralOwner, string(data)})
		case <-s.ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotSent, cause(s.ctx))
		}
	}
}

// Brokers reads all registered brokers, with their epochs. One that cannot be read is reported and left out.
func (s *Session) Brokers(ctx context.Context) (map[int32]BrokerInfo, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	names, _, err := s.Children(ctx, BrokerIDsPath)
	if err != nil {
		return nil, err
	}
	var numbers []int32
	var paths []string
	for _, name := range names {
		id, err := partitionNumber(name)
		if err != nil {
			s.client.badZnode(s.full(BrokerIDsPath+"/"+name), &Stat{}, errors.New("its name is not a broker id"))
			continue
		}
		numbers, paths = append(numbers, id), append(paths, BrokerIDsPath+"/"+name)
	}
	brokers := make(map[int32]BrokerInfo, len(paths))
	err = s.readAll(ctx, paths, func(i int, data []byte, stat *Stat) error {
		b, err := decodeBroker(numbers[i], data, stat)
		if err == nil {
			brokers[b.ID] = b
		}
		return err
	})
	return brokers, err
}

// Broker reads one registration; ErrNoNode when there is none.
func (s *Session) Broker(ctx context.Context, id int32) (BrokerInfo, error) {
	data, stat, err := s.Get(ctx, BrokerIDPath(id))
	if err != nil {
		return BrokerInfo{}, err
	}
	return decodeBroker(id, data, stat)
}

// GenerateBrokerID draws the next id for a broker without one. reservedMax is reserved.broker.max.id. An answer that was
// lost costs a number and no more.
func (s *Session) GenerateBrokerID(ctx context.Context, reservedMax int32) (int32, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if err := s.ensurePath(ctx, BrokerSeqIDPath); err != nil {
		return 0, err
	}
	for {
		stat, err := s.Set(ctx, BrokerSeqIDPath, []byte{}, AnyVersion)
		if err == nil {
			return stat.Version + reservedMax, nil
		}
		if !isUnknown(err) || !s.awaitLink(ctx) {
			return 0, err
		}
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafka-broker-api-versions (Kafka: BrokerApiVersionsCommand): the requests each broker takes, and in which versions.

func runBrokerAPIVersions(ctx context.Context, args []string, io stdio) int {
	p := &optionParser{}
	common := p.acceptCommon()
	bootstrap := p.accepts("bootstrap-server", "Brokers to start from, host:port list.").takes("servers")
	config := p.accepts("command-config", "File of client properties.").takes("file")
	set, err := p.parse(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := set.checkCommon(common, args, "Prints which requests the brokers take.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := set.require(bootstrap); err != nil {
		return exitStatus(io.Err, err)
	}
	return exitStatus(io.Err, printAPIVersions(ctx, set.str(bootstrap), set.str(config), io))
}

func printAPIVersions(ctx context.Context, bootstrap, config string, io stdio) error {
	admin, err := newAdminNamed("LegacyAdminClient", "admin-1", bootstrap, config, io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	brokers, err := admin.firstMetadata(ctx, bootstrap)
	if err != nil {
		return err
	}
	slices.SortFunc(brokers, func(a, b kmsg.MetadataResponseBroker) int { return int(a.NodeID - b.NodeID) })
	for _, b := range brokers {
		rack := "null"
		if b.Rack != nil {
			rack = *b.Rack
		}
		fmt.Fprintf(io.Out, "%s:%d (id: %d rack: %s) -> ", b.Host, b.Port, b.NodeID, rack)
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "zurau", version
		resp, err := askBroker[*kmsg.ApiVersionsResponse](ctx, admin, b.NodeID, req)
		if err == nil {
			err = brokerError(resp.ErrorCode, nil)
		}
		if err != nil {
			fmt.Fprintf(io.Out, "ERROR: %s\n", throwable(err))
			continue
		}
		printVersions(io.Out, resp.ApiKeys)
	}
	return nil
}

// firstMetadata asks each bootstrap server once, as the tool does: it does not wait for one to come up.
func (a *adminClient) firstMetadata(ctx context.Context, bootstrap string) ([]kmsg.MetadataResponseBroker, error) {
	for _, seed := range a.client.SeedBrokers() {
		resp, err := seed.Request(ctx, kmsg.NewPtrMetadataRequest())
		if err == nil {
			return resp.(*kmsg.MetadataResponse).Brokers, nil
		}
	}
	var asked []string
	for server := range strings.SplitSeq(bootstrap, ",") {
		asked = append(asked, server+" (id: -1 rack: null)")
	}
	return nil, &javaError{class: "java.lang.RuntimeException",
		message: "Request METADATA failed on brokers List(" + strings.Join(asked, ", ") + ")"}
}

// printVersions writes a broker's table: every key it takes, and as UNSUPPORTED those that 3.9's tool would name.
func printVersions(out io.Writer, keys []kmsg.ApiVersionsResponseApiKey) {
	taken := make(map[int16]kmsg.ApiVersionsResponseApiKey)
	for _, k := range keys {
		taken[k.ApiKey] = k
	}
	var all []int16
	for key := range int16(kmsg.MaxKey + 1) {
		if _, ok := taken[key]; ok || listedByClients(key) {
			all = append(all, key)
		}
	}
	for key := range taken {
		if key > kmsg.MaxKey {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	lines := make([]string, len(all))
	for i, key := range all {
		k, ok := taken[key]
		lines[i] = "\t" + describeKey(key, k, ok)
	}
	fmt.Fprintf(out, "(\n%s\n)\n", strings.Join(lines, ",\n"))
}

// listedByClients leaves out the requests of Raft quorums, which clients have no use for.
func listedByClients(key int16) bool {
	switch key {
	case 52, 53, 54, 59, 62, 63, 70, 73:
		return false
	}
	return key <= lastKeyOf39 && kmsg.RequestForKey(key) != nil
}

const lastKeyOf39 = 87 // DeleteShareGroupState

func describeKey(key int16, k kmsg.ApiVersionsResponseApiKey, taken bool) string {
	req := kmsg.RequestForKey(key)
	name := "UNKNOWN"
	if req != nil {
		name = kmsg.NameForKey(key)
	}
	name = fmt.Sprintf("%s(%d): ", name, key)
	if !taken {
		return name + "UNSUPPORTED"
	}
	versions := fmt.Sprint(k.MinVersion)
	if k.MaxVersion > k.MinVersion {
		versions = fmt.Sprintf("%d to %d", k.MinVersion, k.MaxVersion)
	}
	switch {
	case req == nil:
		return name + versions
	case req.MaxVersion() < k.MinVersion:
		return name + versions + " [unusable: node too new]"
	}
	return fmt.Sprintf("%s%s [usable: %d]", name, versions, min(req.MaxVersion(), k.MaxVersion))
}

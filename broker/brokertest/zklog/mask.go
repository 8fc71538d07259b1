package zklog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Identities number the ids of topics as they are met, so that an id that changes shows although no two runs share one.
type Identities map[string]string

// decode reads a znode's data and masks what no two runs share: times, ids, ports and secrets.
func (ids Identities) decode(path, text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var o map[string]any
	if d.Decode(&o) != nil || d.More() {
		return text
	}
	for key, value := range o {
		text, isText := value.(string)
		switch {
		case !isText:
		case key == "timestamp" && allDigits.MatchString(text):
			o[key] = "MS"
		case key == "topic_id" && len(text) == 22, path == "/cluster/id" && key == "id" && len(text) == 22:
			if ids[text] == "" {
				ids[text] = fmt.Sprintf("ID %d", len(ids)+1)
			}
			o[key] = ids[text]
		}
	}
	return masked(path, o)
}

var allDigits = regexp.MustCompile(`^[0-9]+$`)

var endpointPort = regexp.MustCompile(`:[0-9]+$`)

// masked hides the ports of a broker's registration, the keys of a SCRAM credential, the name
// and the times of a delegation token.
func masked(path string, o map[string]any) map[string]any {
	switch {
	case strings.HasPrefix(path, "/brokers/ids/"):
		maskPorts(o)
	case strings.HasPrefix(path, "/config/users/"):
		configs, _ := o["config"].(map[string]any)
		for key, value := range configs {
			if text, ok := value.(string); ok && strings.HasPrefix(key, "SCRAM-") {
				configs[key] = scramKey.ReplaceAllString(text, "$1=KEY")
			}
		}
	case strings.HasPrefix(path, tokenParent):
		for _, key := range []string{"issueTimestamp", "expiryTimestamp", "maxTimestamp"} {
			if _, ok := o[key].(json.Number); ok {
				o[key] = "MS"
			}
		}
		if o["tokenId"] == path[len(tokenParent):] {
			o["tokenId"] = "TOKEN"
		}
	}
	return o
}

const tokenParent = "/delegation_token/tokens/"

var scramKey = regexp.MustCompile(`(salt|stored_key|server_key)=[A-Za-z0-9+/]+=*`)

func maskPorts(o map[string]any) {
	if port, ok := o["port"].(json.Number); ok && port != "-1" {
		o["port"] = "PORT"
	}
	endpoints, _ := o["endpoints"].([]any)
	for i, e := range endpoints {
		if text, ok := e.(string); ok {
			endpoints[i] = endpointPort.ReplaceAllString(text, ":PORT")
		}
	}
}

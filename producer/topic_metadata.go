package producer

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/broker/kerr"
	"go.uber.org/zap"
)

// AskTopic asks a broker for the metadata of a topic once, and on success has client learn it; asking makes the topic
// where the broker allows. A refusal is logged in the words of Java's NetworkClient, with the name of the asking client
// and the number of its request, and returned as an error of kerr. Package consumer asks by it too.
func AskTopic(client sarama.Client, log *zap.Logger, asking string, correlation int64, topic string) error {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return kerr.New(kerr.NetworkException, "no broker can be reached")
	}
	config := client.Config()
	if err := broker.Open(config); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		return err
	}
	req := sarama.NewMetadataRequest(config.Version, []string{topic})
	req.AllowAutoTopicCreation = true
	resp, err := broker.GetMetadata(req)
	if err != nil {
		_ = broker.Close()
		return err
	}
	for _, t := range resp.Topics {
		if t.Err == sarama.ErrNoError {
			continue
		}
		e := kerr.ForCode(int16(t.Err))
		log.Named("org.apache.kafka.clients.NetworkClient").Warn(fmt.Sprintf(
			"[%s] Error while fetching metadata with correlation id %d : {%s=%s}", asking, correlation, topic, e.Name))
		if e == kerr.InvalidTopicException {
			return kerr.New(e, "Invalid topics: [%s]", topic)
		}
		return e
	}
	return client.RefreshMetadata(topic)
}

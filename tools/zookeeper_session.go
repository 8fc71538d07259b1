package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zurau/zurau/zkmeta"
)

// zookeeperTimeout is how long the tools of 1.1 wait for a session, and what they ask for as its timeout.
const zookeeperTimeout = 30 * time.Second

// openZooKeeper gives a session of its own to a tool that works on the znodes. close ends it.
func openZooKeeper(ctx context.Context, connect string, stderr io.Writer) (s *zkmeta.Session, close func(), err error) {
	defer showWaiting(stderr, "waiting for ZooKeeper")()
	client, err := zkmeta.Connect(ctx, zkmeta.Options{
		ConnectString:     connect,
		SessionTimeout:    zookeeperTimeout,
		ConnectionTimeout: zookeeperTimeout,
		Logger:            newToolLogger(stderr),
	})
	if err != nil {
		return nil, nil, zookeeperError(err)
	}
	s, err = client.AwaitSession(ctx)
	if err != nil {
		client.Close()
		return nil, nil, zookeeperError(err)
	}
	return s, client.Close, nil
}

// zookeeperTimeoutClass is the class of Kafka's error when ZooKeeper does not answer.
const zookeeperTimeoutClass = "kafka.zookeeper.ZooKeeperClientTimeoutException"

func zookeeperError(err error) error {
	var late *zkmeta.ConnectTimeoutError
	if errors.As(err, &late) {
		return &javaError{class: zookeeperTimeoutClass, message: late.Error()}
	}
	return &javaError{class: zookeeperTimeoutClass, message: fmt.Sprintf("Timed out waiting for connection while in state: CONNECTING (%v)", err)}
}

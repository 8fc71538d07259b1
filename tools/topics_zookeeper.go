package main

import "context"

func (o *topicOptions) runOnZooKeeper(ctx context.Context, io stdio) error {
	return illegalArgument("no ZooKeeper yet")
}

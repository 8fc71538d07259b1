package main

import "context"

func (o *configOptions) runOnZooKeeper(ctx context.Context, entities []configEntity, io stdio) error {
	return illegalArgument("no ZooKeeper yet")
}

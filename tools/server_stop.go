package main

import "context"

func serverStop(ctx context.Context, args []string, io stdio) int          { return 1 }
func zookeeperServerStop(ctx context.Context, args []string, io stdio) int { return 1 }

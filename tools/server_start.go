package main

import "context"

func run(ctx context.Context, args []string, io stdio) int         { return 1 }
func serverStart(ctx context.Context, args []string, io stdio) int { return 1 }

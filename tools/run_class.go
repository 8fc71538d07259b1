package main

import "context"

func runClass(ctx context.Context, args []string, io stdio) int { return 1 }

package main

import (
	"context"
	"errors"
	"net"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/config"
)

// newBroker stands in until package broker compiles.
func newBroker(*config.Broker, *zap.Logger) server { return noBroker{} }

type noBroker struct{}

func (noBroker) Start(context.Context) error { return errors.New("no broker yet") }
func (noBroker) Stop(context.Context)        {}
func (noBroker) ID() int32                   { return 0 }
func (noBroker) Addr(string) net.Addr        { return nil }

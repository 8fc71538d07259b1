# make help lists the targets. Only Go and make are needed for build, run, test and dist; race needs a C compiler,
# interop the Java kit (see README). The links of bin/ come from the table in tools/commands.go.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CHECKS      := inherit,-ST1005 # error texts are Kafka's own, capitals and all
FUZZTIME    ?= 30s
TESTFLAGS   ?=
SOURCES     := $(shell find . -name '*.go' -not -path './dist/*') go.mod go.sum

.DEFAULT_GOAL := build
.PHONY: build dist run cluster test race lint interop torture fuzz bench cover clean help

build: bin/zurau ## the binary bin/zurau, and beside it the tools by Kafka's names

bin/zurau: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./tools
	$@ link bin

dist: build ## the folder dist/, to be copied to where it shall run
	rm -rf dist && mkdir -p dist/bin
	cp bin/zurau dist/bin/ && dist/bin/zurau link dist/bin
	cp -r conf LICENSE dist/ && ln -s conf dist/config

run: build ## a ZooKeeper and a broker on this machine, until ^C
	@bin/zurau run

cluster: build ## a ZooKeeper and three brokers on this machine, until ^C
	@bin/zurau cluster

test: ## all tests that need nothing but Go
	$(GO) test $(TESTFLAGS) ./...

race: ## the same with the race detector
	CGO_ENABLED=1 $(GO) test -race $(TESTFLAGS) ./...

lint: ## gofmt, vet (also for a system that is not Linux), staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet ./... && GOOS=darwin GOARCH=arm64 $(GO) vet ./... && $(GO) vet -tags interop ./...
	$(GO) run $(STATICCHECK) -checks $(CHECKS) ./...

interop: build ## against real Kafka, ZooKeeper and clients of other languages
	$(GO) test -tags interop -count=1 -timeout 60m $(TESTFLAGS) \
	  $$(grep -rl --include='*_test.go' '^//go:build interop' . | xargs -n1 dirname | sort -u)

torture: ## the full lengths of the tests that kill, cut and freeze clusters; with TESTFLAGS=-tags=interop beside Kafka's
	ZURAU_TORTURE=1 ZURAU_KILLS=20 $(GO) test -v -count=1 -timeout 4h $(TESTFLAGS) ./broker/brokertest/...

fuzz: ## every fuzz target for FUZZTIME each
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -hoE '^func Fuzz\w+' $$dir/*_test.go | cut -d' ' -f2); do \
	    echo "$$dir $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
	  done; done

bench: ## every benchmark
	$(GO) test -run '^$$' -bench . -benchmem $(TESTFLAGS) ./...

cover: ## which lines the tests reach: cover.html
	$(GO) test -coverprofile=cover.out -coverpkg=./... ./... && $(GO) tool cover -html=cover.out -o cover.html

clean: ## what the other targets made
	rm -rf bin dist cover.out cover.html

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The two commands of a new user are `make demo` and `make test`; both bring up their own Hadoop and take it down again.
GO      ?= go
LDFLAGS := -s -w
GOLANGCI_VERSION := v2.5.0
EXAMPLES := $(notdir $(wildcard examples/*))

.PHONY: all build demo test unit lint bench soak generate clean

all: build

# Static binaries: bin/weft and bin/examples/<name>.
build:
	@mkdir -p bin/examples
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/weft ./cmd/weft
	@for e in $(EXAMPLES); do \
	  echo "CGO_ENABLED=0 $(GO) build -o bin/examples/$$e ./examples/$$e"; \
	  CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/examples/$$e ./examples/$$e || exit 1; done

# The main job on a real Hadoop: text into HDFS, wordcount and topspeedwindowing in application mode.
demo: build
	scripts/demo

# All tests, those against a real Hadoop included (build tag hadoop); fails when Hadoop can't be brought up.
test: build
	scripts/test

# What needs neither a JDK nor Hadoop.
unit:
	$(GO) test -race ./...

lint: bin/tools/golangci-lint-$(GOLANGCI_VERSION)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... && $(GO) vet -tags hadoop ./...
	bin/tools/golangci-lint-$(GOLANGCI_VERSION) run ./...

bin/tools/golangci-lint-$(GOLANGCI_VERSION):
	@mkdir -p bin/tools
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/tools/golangci-lint $@

# Ratios measured within one run; BENCH=wordcount,window picks some.
bench: build
	$(GO) run ./bench $(if $(BENCH),-only $(BENCH))

# The whole fault matrix on a real Hadoop; `make test` runs a seeded sample of it.
soak: build
	WEFT_SOAK=1 WEFT_TEST_TIMEOUT=80m scripts/test

# Generated code and pages: needs protoc, protoc-gen-go and protoc-gen-go-grpc.
generate:
	PATH="$$PATH:$$($(GO) env GOPATH)/bin" protoc -I . --go_out=. --go_opt=paths=source_relative \
	  --go-grpc_out=. --go-grpc_opt=paths=source_relative graph/graph.proto link/linkpb/link.proto runtime/rpc/rpcpb/rpc.proto \
	  runtime/checkpoint/checkpointpb/metadata.proto
	$(GO) run ./internal/confdoc > docs/configuration.md

clean:
	rm -rf bin bench/out demo-out

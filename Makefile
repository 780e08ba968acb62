# kubefed: `make help` is the developer's manual.
SHELL := /bin/bash
GO ?= go
export PATH := $(CURDIR)/bin:$(PATH)
CONTROLLER_GEN := $(GO) run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1

.PHONY: help build generate
help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## Build all programs into bin/
	$(GO) build -o bin/ ./cmd/...

generate: ## Generate deep copies and CRDs from pkg/apis
	$(CONTROLLER_GEN) object paths=./pkg/apis/...
	$(CONTROLLER_GEN) crd:maxDescLen=400 paths=./pkg/apis/... output:crd:dir=pkg/apis/crds

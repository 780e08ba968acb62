# kubefed: `make help` is the developer's manual.
SHELL := /bin/bash
GO ?= go
export PATH := $(CURDIR)/bin:$(PATH)
CONTROLLER_GEN := $(GO) run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1

.PHONY: help build generate images cross
help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## Build all programs into bin/
	$(GO) build -o bin/ ./cmd/...

generate: ## Generate deep copies and CRDs from pkg/apis
	$(CONTROLLER_GEN) object paths=./pkg/apis/...
	$(CONTROLLER_GEN) crd:maxDescLen=400 paths=./pkg/apis/... output:crd:dir=pkg/apis/crds

ARCHES ?= $(shell $(GO) env GOARCH)
images: ## Build OCI archives of the programs into bin/images (ARCHES=amd64,arm64)
	$(GO) run ./internal/images --arches=$(ARCHES)

CROSS_OS := linux darwin windows
CROSS_ARCHES := amd64 arm64
cross: ## Build the CLI for Linux, macOS and Windows into bin/cross
	@set -e; for os in $(CROSS_OS); do for arch in $(CROSS_ARCHES); do \
	  ext=; [ $$os = windows ] && ext=.exe; echo "building kubefed for $$os/$$arch"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -o bin/cross/kubefed-$$os-$$arch$$ext ./cmd/kubefed; \
	done; done

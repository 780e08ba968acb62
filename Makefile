# kubefed: `make help` is the developer's manual.
SHELL := /bin/bash
GO ?= go
export PATH := $(CURDIR)/bin:$(PATH)
CONTROLLER_GEN := $(GO) run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0

# One set of build flags everywhere: with others, all of Kubernetes is compiled again. Images and the CLI for other
# systems are built without C, so everything is, but for the race detector. For plain go commands: go env -w CGO_ENABLED=0
export CGO_ENABLED := 0

PACKAGES = $(shell $(GO) list ./... | grep -v /e2e)
# The packages that do not link k8s.io/kubernetes: small enough for the race detector and for staticcheck.
# So are pkg/cloud/aws/facts and pkg/cloud/gcp/facts not: the SDKs of EC2 and Compute.
OWN = $(shell $(GO) list ./... | grep -vE '/e2e|/cmd/(local-cluster|federation-apiserver)|/internal/localcluster|/pkg/apiserver|/pkg/cloud/(aws|gcp)/facts')

.PHONY: help build test race e2e demo drill e2e-dns e2e-clouds bench bench-dns simulate images cross lint generate verify clean
help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: bin/kubectl ## Build all programs into bin/
	$(GO) build -o bin/ ./cmd/...

# kubectl as it is on the machine, else built from source.
bin/kubectl:
	@mkdir -p bin
	@if found=$$(command -v kubectl); then ln -sf "$$found" $@; else echo "$(GO) build -o $@ k8s.io/kubernetes/cmd/kubectl"; $(GO) build -o $@ k8s.io/kubernetes/cmd/kubectl; fi

# Two packages at a time: several start clusters of their own. Vet is lint's.
test: build ## Unit and integration tests
	$(GO) test -vet=off -p 2 -timeout 20m $(PACKAGES)

race: build ## Unit tests of what does not link Kubernetes, with the race detector
	CGO_ENABLED=1 $(GO) test -vet=off -p 2 -race -short -timeout 20m $(OWN)

e2e: build ## Stories on real local clusters
	$(GO) test -count=1 -timeout 40m ./e2e

DNS_TOOLS = bind9 bind9-utils bind9-dnsutils knot knot-dnsutils nsd pdns-server pdns-backend-sqlite3 sqlite3 unbound ldnsutils faketime
e2e-dns: ## The DNS providers with BIND, Knot, PowerDNS, NSD and unbound, installed from Debian packages where missing
	@PATH="$$PATH:/usr/sbin"; missing=; \
	for p in dig delv kdig named named-checkzone nsupdate knotd nsd pdns_server pdnsutil sqlite3 unbound ldns-verify-zone; do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
	[ -e /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql ] || missing="$$missing pdns-backend-sqlite3"; \
	ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing="$$missing faketime"; \
	[ -z "$$missing" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DNS_TOOLS) >/dev/null; } || \
	  { echo "missing:$$missing. Install $(DNS_TOOLS), as packages of Debian or Ubuntu, then try again"; exit 1; }
	$(GO) test -count=1 -timeout 10m ./e2e/dns

MOTO = moto[server,route53,ec2,eks,elbv2,sts]==5.2.5
e2e-clouds: ## The clients of clouds with moto's server, installed from PyPI into bin/
	@[ "$$(cat bin/moto/version 2>/dev/null)" = '$(MOTO)' ] || { python3 -m venv bin/moto && bin/moto/bin/pip install -q --disable-pip-version-check '$(MOTO)' && \
	  echo '$(MOTO)' > bin/moto/version; } || \
	  { rm -rf bin/moto; echo "install Python 3.10 or newer with its venv module (python3-venv on Debian), then try again"; exit 1; }
	MOTO_SERVER=$(CURDIR)/bin/moto/bin/moto_server $(GO) test -vet=off -count=1 -timeout 5m -run Moto ./pkg/cloud/...

demo: build ## The story of the README, on local clusters, with real output
	$(GO) run ./e2e/demo

drill: build ## Kill a cluster of a playground under load, and measure what users notice; see docs/drills.md
	$(GO) run ./e2e/drill

HOURS ?= 2000
simulate: ## Random faults against what decides, for HOURS (2000) of virtual time each of twelve kinds of schedules
	$(GO) test -count=1 -timeout 4h ./internal/simulation -args -hours=$(HOURS) -seed=$(or $(SEED),1)

bench: build ## The federation against the same writes done directly; see docs/performance.md
	$(GO) run ./e2e/bench

bench-dns: ## What a query costs the embedded DNS server, and NSD if it is installed
	$(GO) run ./e2e/dnsbench

lint: ## Format, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -d . | head -50; echo "run gofmt -w ."; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) $(OWN)

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
	  GOOS=$$os GOARCH=$$arch $(GO) build -o bin/cross/kubefed-$$os-$$arch$$ext ./cmd/kubefed; \
	done; done

verify: generate ## Check that generated files are up to date
	git diff --exit-code -- pkg/apis

clean: ## Remove what was built
	rm -rf bin

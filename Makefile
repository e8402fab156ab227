# crmgate. `make` says what can be made.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO       ?= go
# Databases of Caddy's certificate authority that nobody here uses.
export GOFLAGS := -tags=nobadger,nomysql,nopgx -buildvcs=false
BUILD    := $(GO) build -ldflags "-s -w"
FUZZTIME ?= 20s

# Packages without Caddy: their tests, race included, take seconds.
LEAN = $(shell $(GO) list ./policy/... ./modules/internal/... ./modules/state/embedded ./modules/state/redis ./modules/records/sqlite ./modules/records/postgres ./modules/portal ./cmd/internal/democrm)

.PHONY: help run build test race leaks fuzz bench bench-leaks check lint fmt golden validate xcaddy prerequisites

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## the demo: CRM, gateway, five people; Ctrl-C stops everything
	@bin/crmgate demo

build: ## bin/crmgate and bin/democrm
	$(BUILD) -o bin/crmgate ./cmd/crmgate
	$(BUILD) -o bin/democrm ./cmd/democrm

prerequisites: ## what the tests start: installed as root, otherwise named
	@scripts/prerequisites

# One package's tests at a time: some of them measure how soon something happens.
test: prerequisites build check validate ## everything: unit, race, goldens, integration, browser
	$(GO) test -p 1 $$($(GO) list ./... | grep -v /modules/integration)
	$(GO) test -timeout 20m ./modules/integration
	@$(MAKE) --no-print-directory race

race: ## the race detector on the packages without Caddy
	$(GO) build -race $(LEAN)
	$(GO) test -race -p 1 $(LEAN)

leaks: ## the corpus of hostile answers: a line an id, last how many leak
	@set -o pipefail; $(GO) test ./modules/integration -run '^TestLeaks$$' -count 1 -v | grep -vE '^(=== |--- PASS|PASS|ok )'

fuzz: ## every fuzz target for FUZZTIME (default 20s)
	@scripts/fuzz $(FUZZTIME)

bench: build bin/caddy bin/rewriters ## CPU per request, side by side with bare Caddy and with other ways to mask
	@scripts/bench

bench-leaks: build bin/rewriters ## the corpus of hostile answers through the gate and through other ways to mask
	@set -o pipefail; $(GO) test ./modules/integration -run '^TestLeaks(Elsewhere)?$$' -count 1 -v -rewriters "$(CURDIR)/bin/rewriters" | grep '^leaks'

.PHONY: bin/caddy bin/rewriters
bin/caddy:
	@$(BUILD) -o bin/caddy github.com/caddyserver/caddy/v2/cmd/caddy

bin/rewriters:
	@$(BUILD) -o bin/rewriters ./modules/integration/rewriters

check: ## formatting and vet
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not formatted:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...

lint: check ## golangci-lint v2.15 by .golangci.yml
	golangci-lint run

fmt: ## format Go files and Caddyfiles
	gofmt -w $$(git ls-files '*.go')
	@for f in caddyfiles/*.Caddyfile; do bin/crmgate fmt --overwrite "$$f"; done

golden: ## rewrite the golden files from what the code does now; read the diff
	UPDATE_GOLDEN=1 $(GO) test ./modules/integration -run Golden

validate: build ## every Caddyfile in caddyfiles/: formatted, adapted, validated
	@scripts/validate

xcaddy: ## build with xcaddy from xcaddy.json
	xcaddy build "$$(jq -r .caddy_version xcaddy.json)" --output bin/crmgate \
	  $$(jq -r '.plugins[] | "--with " + .module_path + (if .version then "@" + .version else "" end)' xcaddy.json)

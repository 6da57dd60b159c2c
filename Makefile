# Every target is one line of "make help". What check does is what .ci/run does.
RELEASES = bookworm trixie
RELEASE ?= $(RELEASES)
STAGE = integration/ci/stage
GO ?= go
SHELL = /bin/sh
.DEFAULT_GOAL = help

help: ## say what each target does
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## the three programs, static, in build/bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o build/bin/ ./cmd/...

prepare: ## install what check, demo and bench need (Debian, root)
	@integration/ci/prepare

check: ## all that must be green: lint, unit tests, packages, scenarios on booted hosts (root)
	@start=$$(date +%s); \
	$(STAGE) prepare integration/ci/prepare && \
	$(STAGE) lint integration/ci/lint && \
	$(STAGE) test $(GO) test -race -timeout 10m ./... && \
	$(STAGE) debs $(MAKE) --no-print-directory debs && \
	$(STAGE) lintian integration/ci/lint-debs $(RELEASES) && \
	STAGE_SHOW=1 $(STAGE) scenarios $(MAKE) --no-print-directory scenarios && \
	echo "all green after $$((($$(date +%s) - start) / 60)) min $$((($$(date +%s) - start) % 60)) s"

KILLSTEP = 4
scenarios: ## only the scenarios, with the packages that are built; RUN=REGEXP chooses, KILLSTEP=1 kills at every call (root)
	@$(GO) vet -tags integration ./integration/... && \
	$(GO) test -tags integration -c -o build/scenarios ./integration && \
	$(GO) test -tags integration ./integration/hosts && \
	cd integration && ../build/scenarios -test.timeout 55m -test.parallel 1000 -killstep $(KILLSTEP) $(if $(RUN),-test.run '$(RUN)')

debs: ## the packages of both releases, or RELEASE=bookworm|trixie, as apt sources in build/debs/
	@for release in $(RELEASE); do debian/make-debs $$release || exit 1; done

lint: ## gofmt, vet, staticcheck, shellcheck, units
	@$(STAGE) lint integration/ci/lint

demo: ## two booted hosts: a satellite is preseeded, installed, and sends its first mail (root)
	@integration/ci/prepare && $(MAKE) --no-print-directory debs RELEASE=bookworm && $(GO) run ./integration/demo

bench: ## Debian's layer and ours side by side, with the ratios; PARTS='trixie chroots' chooses (root)
	@integration/ci/prepare && $(MAKE) --no-print-directory debs && $(GO) run ./integration/bench $(PARTS)

clean: ## remove what was built here; the cache of base trees stays
	rm -rf build

.PHONY: help build prepare check scenarios debs lint demo bench clean

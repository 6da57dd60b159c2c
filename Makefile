# Every target is one line of "make help". What check does is what .ci/run does.
RELEASES = bookworm trixie sid
RELEASE ?= $(RELEASES)
STAGE = integration/ci/stage
GO ?= go
SHELL = /bin/sh
.DEFAULT_GOAL = help

help: ## say what each target does
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

build: ## the four programs, static, in build/bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags urfave_cli_no_docs -ldflags '-s -w' -o build/bin/ ./cmd/...

prepare: ## install what check, demo and bench need (Debian, root)
	@integration/ci/prepare

# The unit tests sync thousands of files, which takes a disk ten times as long as their work.
check: ## all that must be green: lint, unit tests, packages, scenarios on booted hosts (root)
	@start=$$(date +%s); \
	$(STAGE) prepare integration/ci/prepare && \
	$(STAGE) lint integration/ci/lint && \
	$(STAGE) test integration/ci/in-memory integration/ci/unit && \
	$(STAGE) debs $(MAKE) --no-print-directory debs && \
	$(STAGE) lintian integration/ci/lint-debs $(RELEASES) && \
	STAGE_SHOW=1 $(STAGE) scenarios $(MAKE) --no-print-directory scenarios && \
	echo "all green after $$((($$(date +%s) - start) / 60)) min $$((($$(date +%s) - start) % 60)) s"

KILLSTEP = 8
LIMIT = 55m
scenarios: ## only the scenarios, with the packages that are built; RUN=REGEXP chooses, SID=1 all on sid too, KILLSTEP=1 kills at every call (root)
	@$(GO) vet -tags integration ./integration/... && \
	$(GO) test -tags integration -c -o build/scenarios ./integration && \
	$(GO) test -tags integration ./integration/hosts && \
	cd integration && ../build/scenarios -test.timeout $(LIMIT) -test.parallel 1000 -killstep $(KILLSTEP) $(if $(SID),-sid) $(NIGHTLY) $(if $(RUN),-test.run '$(RUN)')

nightly: ## what takes hours: every fuzz target for ten minutes, kills and full disks at every call, Debian's layer's failures, arm64 (root)
	@integration/ci/prepare && $(MAKE) --no-print-directory debs && \
	STAGE_SHOW=1 $(STAGE) fuzz integration/ci/fuzz && \
	$(STAGE) arm64 integration/ci/arm64-check && \
	KILLSTEP=1 $(STAGE) transaction $(GO) test -count=1 -race ./internal/sysroot/transaction && \
	STAGE_SHOW=1 $(STAGE) scenarios $(MAKE) --no-print-directory scenarios KILLSTEP=1 SID=1 NIGHTLY=-nightly LIMIT=12h

debs: ## the packages of all releases, or RELEASE=bookworm|trixie|sid, as apt sources in build/debs/
	@for release in $(RELEASE); do debian/make-debs $$release || exit 1; done

source: ## the source package, from the last commit, in build/source/; VENDOR=1 with the Go modules beside it
	@debian/make-source $(if $(VENDOR),--vendor)

source-check: ## not part of check: builds it in a clean tree of sid without a network, and runs sid's lintian (root)
	@integration/ci/prepare && integration/ci/source-check

source-postfix: ## Debian's source package of Postfix with this layer, RELEASE=trixie, in build/source-postfix/
	@for release in $(RELEASE); do debian/make-source-postfix $$release || exit 1; done

source-postfix-check: ## not part of check: builds that in a clean tree, compares it with the adopted package, and has Debian's tests and piuparts try it (root)
	@$(MAKE) --no-print-directory debs && for release in $(RELEASE); do integration/ci/source-postfix-check $$release || exit 1; done

arm64-check: ## part of nightly: the programs for arm64 under qemu do on a tree of Debian's arm64 what those of amd64 do (root)
	@integration/ci/prepare && integration/ci/arm64-check

pot: ## take the words of debian/postfix.templates over into debian/po, and say which translations lack some
	@debconf-updatepo && for po in debian/po/*.po; do printf '%s: ' "$$po"; msgfmt -c --statistics -o /dev/null "$$po" 2>&1; done

lint: ## gofmt, vet, staticcheck, errcheck, errorlint, gocognit, shellcheck, units
	@$(STAGE) lint integration/ci/lint

demo: ## two booted hosts: a satellite is preseeded, installed, and sends its first mail; PICTURE=integration/demo/demo.svg is for README (root)
	@integration/ci/prepare && $(MAKE) --no-print-directory debs RELEASE=bookworm && $(GO) run ./integration/demo $(if $(PICTURE),-picture $(PICTURE))

bench: ## Debian's layer and ours side by side, with the ratios; PARTS='trixie chroots' chooses, RUNS=1 is quick (root)
	@integration/ci/prepare && $(MAKE) --no-print-directory debs && $(GO) run ./integration/bench $(if $(RUNS),-runs $(RUNS)) $(PARTS)

clean: ## remove what was built here; the cache of base trees stays
	rm -rf build

.PHONY: help build prepare check scenarios nightly debs source source-check source-postfix source-postfix-check arm64-check pot lint demo bench clean

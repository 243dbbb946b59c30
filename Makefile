# make verify   does the main job: every pair of devices of this machine, or of the lab where it has none
# make test     every check and every test, those on a real kernel included
# make help     the rest

SWIFT ?= swift

.PHONY: verify test test-kernels test-sanitizers test-ci-example soak benchmark docs doc-library lint build packages lab-packages install clean help

verify: packages
	@echo "verify: building prime-tool" >&2
	@$(SWIFT) build --quiet -c release --product prime-tool
	@if ls /dev/dri/card* /dev/dri/renderD* >/dev/null 2>&1; then \
	  echo "verify: sharing a buffer between every pair of this machine's devices" >&2; \
	  .build/release/prime-tool verify; \
	else \
	  echo "verify: this machine has no DRM device; using the six of the lab" >&2; \
	  $(MAKE) --no-print-directory lab-packages && \
	  PRIME_TOOL_BIN_DIR="$(CURDIR)/.build/release" lab/run -- prime-tool verify; \
	fi

test: packages lab-packages lint
	@echo "test: building"
	@$(SWIFT) build --quiet --build-tests --explicit-target-dependency-import-check error
	@SWIFT="$(SWIFT)" scripts/test

# What must hold on each kernel of the lab, on each of them.
test-kernels: packages lab-packages
	@echo "test: building"
	@$(SWIFT) build --quiet --build-tests --explicit-target-dependency-import-check error
	@$(SWIFT) build --quiet -c release --product prime-tool
	@$(SWIFT) build --quiet -c release --product prime-witness-vulkan
	@scripts/test-kernels

# The steps of the workflow in examples/ci, in a root file system that has what its image has, as root: 15 minutes or so.
test-ci-example:
	@scripts/install-packages examples/ci/packages
	@scripts/test-ci-example

# The unit tests under ThreadSanitizer and AddressSanitizer: a build of ten minutes each.
test-sanitizers: packages
	@SWIFT="$(SWIFT)" scripts/test-sanitizers

# What must hold over and over: an hour or so.
soak: packages lab-packages
	@echo "test: building"
	@$(SWIFT) build --quiet --build-tests --explicit-target-dependency-import-check error
	@$(SWIFT) build --quiet -c release --product prime-tool
	@scripts/soak

# Figures are only worth something on a quiet machine, so this is no part of the tests.
benchmark: packages
	@$(SWIFT) build --quiet -c release --product prime-benchmark
	@.build/release/prime-benchmark

# What is made from the sources; a unit test fails where it is not up to date.
docs: packages
	@$(SWIFT) build --quiet -c release --product prime-tool
	@.build/release/prime-tool check --list --markdown >docs/contract.md

lint:
	@echo "test: checking the format, the layers, the links and what is said of errors"
	@$(SWIFT) format lint --strict --recursive Sources Tests Package.swift
	@scripts/check-layers
	@scripts/check-layers --prove
	@scripts/check-links
	@scripts/check-throws
	@scripts/check-throws --prove

# The pages of the library Prime from its documentation, as DocC's archive; a warning fails.
doc-library: packages
	@SWIFT="$(SWIFT)" scripts/doc-library

build: packages
	@$(SWIFT) build --quiet -c release

packages:
	@scripts/install-packages packages

lab-packages:
	@scripts/install-packages lab/packages

PREFIX ?= /usr/local
install: packages
	@$(SWIFT) build --quiet -c release --static-swift-stdlib --product prime-tool
	@$(SWIFT) build --quiet -c release --static-swift-stdlib --product prime-witness-gl
	@$(SWIFT) build --quiet -c release --static-swift-stdlib --product prime-witness-vulkan
	@install -D -m 755 -t "$(DESTDIR)$(PREFIX)/bin" .build/release/prime-tool .build/release/prime-witness-gl .build/release/prime-witness-vulkan

clean:
	@rm -rf .build

help:
	@echo "make verify      shares a buffer between every pair of devices, here or in the lab"
	@echo "make test        lint, unit tests, and tests on a real kernel in the lab"
	@echo "make test-kernels  what must hold on each of the lab's kernels: 6.1, 6.12 and 7.2"
	@echo "make test-ci-example  runs the steps of examples/ci/hosted-runner.yml, as root, in a root file system like its image's"
	@echo "make test-sanitizers  the unit tests under ThreadSanitizer and AddressSanitizer"
	@echo "make soak        a million damaged messages, 10,000 hand-overs, 440 kills, 20 runs of check"
	@echo "make benchmark   fill and check against memset and memcmp"
	@echo "make doc-library the library's documentation as a DocC archive in .build/doc-library; a warning fails"
	@echo "make build       everything, optimised"
	@echo "make install     prime-tool and its two witnesses into PREFIX/bin (default /usr/local)"
	@echo "make clean       removes what was built"

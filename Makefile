# SPDX-License-Identifier: GPL-2.0-only
#
# Every verb that a person types; `make help` lists them. What is compiled into
# the modules is in Kbuild, how each verb works is in scripts/.
#
# Variables: KVER=VERSION or KDIR=DIRECTORY chooses the kernel that the modules
# are built for (KVER=debug: the lab's debug kernel; default: the lab's
# distribution kernel), SUITES='net guest …' narrows check, DEMO and DEMO_ARGS go to the
# demo, BENCH_ARGS to the benchmarks, DESTDIR and PREFIX to install.

PREFIX ?= /usr/local

# Handed to scripts by name; nothing is exported behind their backs.
MODULE_ARGS = $(if $(KVER),--kver '$(KVER)') $(if $(KDIR),--kdir '$(KDIR)')

.DEFAULT_GOAL := help
.PHONY: help deps modules tools selftests check check-debug fuzz bench ringbench blkbench \
	demo lint install uninstall clean

help: ## this list
	@echo 'Verbs:'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | \
		expand -t 21
	@echo
	@sed -n '/^# Variables:/,/^$$/s/^# \{0,1\}//p' $(MAKEFILE_LIST)

deps:
	@scripts/deps

modules: deps ## build the kernel modules into build/KVER/vhost/ and vfio/
	+@scripts/modules build $(MODULE_ARGS)

tools: deps ## build the command `shunt` into build/tools/
	+@$(MAKE) --no-print-directory -C tools

selftests: deps
	+@$(MAKE) --no-print-directory -C selftests
	+@$(MAKE) --no-print-directory -C selftests/guest

check: modules tools selftests ## run all tests, in VMs, on the distribution's kernel
	@scripts/check $(if $(CHECK_SECONDS),--seconds $(CHECK_SECONDS)) $(SUITES)

check-debug: tools selftests ## run the tests on a kernel with KASAN, lockdep, kmemleak, …
	@scripts/lab debug-kernel
	+@scripts/modules build --kver debug
	@scripts/check --kernel debug $(SUITES)

fuzz: deps ## fuzz the ring code for SECONDS=60, beyond what check does
	+@selftests/ring/fuzz/run --jobs "$$(nproc)" '$(or $(SECONDS),60)'

bench: modules tools selftests ## Shunt beside its peers: bench-report/ (BENCH_ARGS=--full)
	@scripts/deps bench
	@scripts/bench $(BENCH_ARGS)

ringbench: deps ## cost of a descriptor: the ring code against the kernel's vringh
	@scripts/deps ringbench
	@selftests/ring/bench/ringbench

blkbench: modules selftests ## cost of completing a disk's requests by the worker
	@scripts/lab run --icount --timeout 1800 -- selftests/bench/blkbench

demo: modules tools selftests ## show guests on Shunt (DEMO=passthrough, DEMO_ARGS=--keep)
	@scripts/demo $(DEMO) $(DEMO_ARGS)

lint: deps ## static checks and style; silent findings do not exist, any one fails
	@scripts/lint

install: modules tools ## install modules (and run depmod) and tools on this machine
	+@scripts/modules install $(MODULE_ARGS) $(if $(DESTDIR),--root '$(DESTDIR)')
	+@$(MAKE) --no-print-directory -C tools install DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)'

uninstall: ## remove what install put there
	@scripts/modules uninstall $(MODULE_ARGS) $(if $(DESTDIR),--root '$(DESTDIR)')
	+@$(MAKE) --no-print-directory -C tools uninstall DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)'

clean: ## remove build/ (the cache outside the tree stays)
	@rm -rf build

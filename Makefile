# khttpd: an HTTP server in the Linux kernel. "make help" says what there is.

KDIR ?= /lib/modules/$(shell uname -r)/build
PORT ?= 8081
KERNELS ?= 6.1 6.12 sid

.DELETE_ON_ERROR:
.PHONY: all module help setup run demo check check-debug check-kcsan check-long unit fuzz fuzz-smoke lint coverage bench bench-site bench-native load unload clean

all: module

help:
	@echo 'Try it and test it (Debian 12, as root; nothing touches the running kernel):'
	@echo '  make run          serve the built-in page from a throw-away virtual machine on 127.0.0.1:$(PORT) (PORT=)'
	@echo '  make check        all tests: lint, unit, fuzz smoke, epoll, modules for $(KERNELS), virtual machines'
	@echo '                    KERNELS="6.1" CASES="01-smoke" for a short selection; make -k to go on after a failure'
	@echo '  make check-debug  the module on a kernel that checks memory, locks and life times (10 minutes to build it once)'
	@echo '                    CASES= for other virtual machine tests, "0 1 2" for all; KHTTPD_DEBUG=0 leaves it out'
	@echo '  make check-kcsan  the same on a kernel that looks for data races'
	@echo '  make check-long   hours: $(LONG)'
	@echo 'Build and use:'
	@echo '  make demo         serve the sample site on 127.0.0.1:$(PORT) (PORT=) until Ctrl-C; no root needed: where the module'
	@echo '                    cannot be loaded, khttpd-epoll does it'
	@echo '  make              build ./khttpd.ko for the running kernel; for another one: KDIR=FOLDER'
	@echo '  make KERNEL=6.1   build build/6.1/khttpd.ko for a prepared kernel: $(KERNELS)'
	@echo '  make load         load it into the running kernel, with PARAMS="port=8081 ..."'
	@echo '  make unload       unload it'
	@echo '  make tools        build build/khttpctl, which packs folders for it (docs/khttpctl.1)'
	@echo '  make epoll        build build/khttpd-epoll, the server in user space'
	@echo '  make site         pack the sample site of the tests into build/site.img'
	@echo '  make clean        remove what was built'
	@echo 'Single tests:'
	@echo '  make unit         unit tests of the HTTP core, in user space with sanitizers'
	@echo '  make fuzz         fuzz the HTTP core (fuzz-smoke: 30 s each)'
	@echo '  make check-epoll  khttpd-epoll: the integration suite and its own tests, with sanitizers'
	@echo '  make lint         formatting, checkpatch, shell scripts, sparse, cppcheck, clang-tidy'
	@echo '  make coverage     the lines that unit tests and machines on the debug kernel run: build/coverage/index.html'
	@echo '  make check-largest  a site of 1 GiB is packed, loaded and served'
	@echo '  make check-browser  Chromium visits the sample site; artifacts/browser.png shows it'
	@echo '  make bench        compare khttpd and khttpd-epoll with nginx; writes tables to artifacts/'
	@echo '  make bench-site   the same with bodies of a packed site, 12 B to 1 MB, plain and brotli'
	@echo '  make bench-native khttpd-epoll and nginx on this machine: time, CPU, memory, system calls'
	@echo '  make bench-lookup count what a look-up costs in sites of 10 to a million pages'
	@echo '  make setup        install and prepare what is missing for all of this'
	@echo 'HTTP_PARSER_DIR= takes http_parser from another folder.'

# --- the module --------------------------------------------------------------------------------------------

export HTTP_PARSER_DIR
# Prepared kernels are for testing: no warning is let through
module:
	@scripts/build-module $(if $(KERNEL),--kernel $(KERNEL) KCFLAGS=-Werror,--kdir $(KDIR))

PARAMS ?=
load: module
	insmod ./khttpd.ko $(PARAMS)

unload:
	rmmod khttpd

# --- trying and testing ------------------------------------------------------------------------------------

setup:
	scripts/setup

run:
	@trap : INT; scripts/vm run --kernel $(firstword $(KERNEL) $(KERNELS)) --timeout 0 \
		--forward 127.0.0.1:$(PORT):8081 scripts/vm.d/serve.sh $(PORT) || \
		if [ $$? = 130 ]; then echo; echo 'stopped'; else exit 1; fi

# With job control (-m) Ctrl-C is for what serves, which ends well, and not for make, which would call it a failure
demo:
	@scripts/setup --only tools
	@echo 'building khttpctl, khttpd-epoll and the sample site'
	@$(MAKE) -s --no-print-directory -j "$$(nproc)" build/khttpctl build/khttpd-epoll build/site.img >/dev/null
	@echo 'After a change in tests/site/ "make site" shows it here. Ctrl-C ends this.'
	@bash -$$([ ! -t 0 ] || echo m)c 'build/khttpctl serve --watch --bind=127.0.0.1 --port=$(PORT) build/site.img && echo stopped'

check:
	@KERNELS="$(KERNELS)" CASES="$(CASES)" KEEP_GOING="$(findstring k,$(firstword -$(MAKEFLAGS)))" tests/run

# What a slow kernel gets through in minutes; each case can be run there: CASES=, all of them: CASES="0 1 2"
DEBUG_CASES ?= 01-smoke 02-integration 04-unload-under-load 07-netns 14-reload
KCSAN_CASES ?= 01-smoke 02-integration 04-unload-under-load 14-reload 22-stress
check-debug check-kcsan: check-%:
	@if [ "$(KHTTPD_DEBUG)" = 0 ]; then echo '$@ is left out: KHTTPD_DEBUG=0'; else \
		KERNELS=$* CASES="$(or $(CASES),$(if $(filter debug,$*),$(DEBUG_CASES),$(KCSAN_CASES)))" \
		KEEP_GOING="$(findstring k,$(firstword -$(MAKEFLAGS)))" tests/run; fi

# What takes too long for every change. Makefiles of single tests add theirs: LONG += TARGET
LONG := check-debug-full check-kcsan fuzz-long
.PHONY: $(LONG)
check-long:
	@tests/all $(LONG)

# Every case, with the full counts of the stock 6.1 and more: hours
check-debug-full:
	@KHTTPD_FULL=1 $(MAKE) --no-print-directory -k check-debug CASES="0 1 2"

# Half an hour for all fuzzers together
fuzz-long:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=1800

lint:
	scripts/lint

coverage:
	@CASES="$(CASES)" scripts/coverage

bench:
	scripts/bench

bench-site:
	scripts/bench --site

bench-native:
	scripts/bench --native

# tools
-include tools/tools.mk
# epoll: build/khttpd-epoll
-include epoll/epoll.mk
# unit, fuzz and fuzz-smoke
-include tests/unit/unit.mk tests/fuzz/fuzz.mk
# bench-lookup
-include tests/bench/lookup.mk
# vm-tools: programs for the virtual machines
-include tests/vm/tools.mk
# check-browser
-include tests/browser/browser.mk

clean:
	rm -rf build khttpd.ko

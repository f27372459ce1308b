# khttpd: an HTTP server in the Linux kernel. "make help" says what there is.

KDIR ?= /lib/modules/$(shell uname -r)/build
PORT ?= 8081
KERNELS ?= 6.1 6.12 sid
HTTP_PARSER_DIR ?= $(CURDIR)/compat/http_parser

.DELETE_ON_ERROR:
.PHONY: all module help setup run check unit fuzz fuzz-smoke lint bench load unload clean FORCE

all: module

help:
	@echo 'Try it and test it (Debian 12, as root; nothing touches the running kernel):'
	@echo '  make run          serve the built-in page from a throw-away virtual machine on 127.0.0.1:$(PORT) (PORT=)'
	@echo '  make check        all tests: lint, unit, fuzz smoke, modules for $(KERNELS), virtual machines'
	@echo '                    KERNELS="6.1" CASES="01-smoke" for a short selection of the latter'
	@echo 'Build and use:'
	@echo '  make              build ./khttpd.ko for the running kernel; for another one: KDIR=its build folder'
	@echo '  make KERNEL=6.1   build build/6.1/khttpd.ko for a prepared kernel: $(KERNELS)'
	@echo '  make load         load it into the running kernel, with PARAMS="port=8081 ..."'
	@echo '  make unload       unload it'
	@echo '  make clean        remove what was built'
	@echo 'Single tests:'
	@echo '  make unit         unit tests of the HTTP core, in user space with sanitizers'
	@echo '  make fuzz         fuzz the HTTP core (fuzz-smoke: 30 s each)'
	@echo '  make lint         formatting, checkpatch, shell scripts, sparse'
	@echo '  make bench        compare khttpd with nginx; writes tables to artifacts/'
	@echo '  make setup        install and prepare what is missing for all of this'
	@echo 'HTTP_PARSER_DIR= takes http_parser from another folder.'

# --- the module --------------------------------------------------------------------------------------------
# Kernel builds put their objects beside the sources. So that builds for several kernels can live side by side,
# each gets a folder of symbolic links to the sources: build/module for $(KDIR), build/6.1 for KERNEL=6.1, ...
# MODULE=tests/floor builds that one in the same way, in build/6.1-floor.

ifdef KERNEL
lane := $(KERNEL)
kbuild = scripts/kbuild $(KERNEL) $(1)
# Prepared kernels are for testing: no warning is let through
kbuild_flags = W=1 KCFLAGS=-Werror
else
lane := module
kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR)/$(1)
kbuild_flags = W=1
endif

ifdef MODULE
module_dir := build/$(lane)-$(notdir $(patsubst %/,%,$(MODULE)))
module_sources = $(addprefix $(CURDIR)/$(MODULE)/,Kbuild *.[ch])
else
module_dir := build/$(lane)
module_sources = $(addprefix $(CURDIR)/,Kbuild *.[ch] core compat)
endif

module: $(HTTP_PARSER_DIR)/http_parser.c
ifndef KERNEL
	@test -e $(KDIR)/Makefile || { echo 'make: no kernel headers in $(KDIR). Install linux-headers-$(shell uname -r),' \
		'give KDIR=, or build for a prepared kernel: make KERNEL=6.1' >&2; exit 1; }
endif
	@mkdir -p $(module_dir)
	@cp -rsf $(module_sources) $(module_dir)/
	@find $(module_dir) -xtype l -delete
ifndef MODULE
	@ln -sf $(abspath $(HTTP_PARSER_DIR))/http_parser.[ch] $(module_dir)/compat/http_parser/
endif
	$(call kbuild,$(module_dir)) $(kbuild_flags) modules
ifeq ($(lane)$(MODULE),module)
	@cp $(module_dir)/khttpd.ko khttpd.ko
endif

$(CURDIR)/compat/http_parser/http_parser.c:
	scripts/setup --only parser

PARAMS ?=
load: module
	insmod ./khttpd.ko $(PARAMS)

unload:
	rmmod khttpd

# --- trying and testing ------------------------------------------------------------------------------------

setup:
	scripts/setup

run:
	scripts/vm run --kernel $(firstword $(KERNELS)) --forward 127.0.0.1:$(PORT):8081 scripts/vm.d/serve.sh

check:
	KERNELS="$(KERNELS)" CASES="$(CASES)" tests/run

lint:
	scripts/lint

bench:
	scripts/bench

# unit, fuzz and fuzz-smoke
-include tests/unit/unit.mk tests/fuzz/fuzz.mk

clean:
	rm -rf build khttpd.ko

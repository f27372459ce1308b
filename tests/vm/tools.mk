# SPDX-License-Identifier: MIT OR GPL-2.0
# Programs for the guests of tests/vm, static so that any user land runs them: build/vm-tools/*

VM_TOOLS_CC ?= gcc

.PHONY: vm-tools
vm-tools: build/vm-tools/httpc build/vm-tools/storm build/vm-tools/sites

build/vm-tools/%: tests/vm/tools/%.c
	mkdir -p $(@D)
	$(VM_TOOLS_CC) -O2 -g -Wall -Wextra -Werror -static -o $@ $<

# Not static: Debian has no static libmnl
SITES_SRC := tests/vm/tools/sites.c tools/khttpctl/netlink.c pack/image.c $(wildcard core/*.c)
build/vm-tools/sites: $(SITES_SRC) $(wildcard core/*.h pack/*.h tools/khttpctl/*.h) khttpd_netlink.h
	mkdir -p $(@D)
	$(VM_TOOLS_CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Werror \
		-Icore -I$(or $(HTTP_PARSER_DIR),compat/http_parser) -DHTTP_PARSER_STRICT=1 -o $@ \
		$(filter-out core/request.c,$(SITES_SRC)) -lmnl -lxxhash

# A case that takes minutes and 2.5 GB of memory
.PHONY: check-largest
check-largest:
	@KERNELS=6.1 CASES=16-largest-site tests/run
LONG += check-largest

# A site image of 1 GiB, nearly all of it a hole; for case 16-largest-site
build/largest.tar: build/khttpctl tests/vm/cases/16-largest-site/make-image
	tests/vm/cases/16-largest-site/make-image $@

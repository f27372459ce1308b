# SPDX-License-Identifier: MIT OR GPL-2.0
# Programs for people, and the library that packs sites.
TOOLS_CC ?= gcc
TOOLS_CFLAGS ?= -O2 -g
TOOLS_ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-missing-field-initializers -Werror \
	-fstack-protector-strong $(TOOLS_CFLAGS)

# What packing needs of core/: nothing that parses requests
PACK_SOURCES := $(wildcard pack/*.c) $(addprefix core/,crc32c.c date.c response.c route.c site.c text.c uri.c)
PACK_LIBS := -ldeflate -lbrotlienc -lbrotlidec -lzstd -lpthread
KHTTPCTL_SOURCES := $(addprefix tools/khttpctl/,main.c pack.c inspect.c output.c image_file.c \
	netlink.c module.c conns.c insert.c serve.c \
	serve_epoll.c serve_kernel.c watch.c)
KHTTPCTL_LIBS := $(PACK_LIBS) -ljansson -lmnl
TOOLS_HEADERS := $(wildcard core/*.h pack/*.h tools/khttpctl/*.h) khttpd_netlink.h

.PHONY: tools
tools: build/khttpctl build/libkhttpd-pack.a

build/tools/%.o: %.c $(TOOLS_HEADERS) tools/tools.mk
	@mkdir -p $(@D)
	$(TOOLS_CC) $(TOOLS_ALL_CFLAGS) -c -o $@ $<

# Made anew, or it would keep what is no longer in it
build/libkhttpd-pack.a: $(PACK_SOURCES:%.c=build/tools/%.o)
	rm -f $@
	$(AR) rcsD $@ $^

build/khttpctl: $(KHTTPCTL_SOURCES:%.c=build/tools/%.o) build/libkhttpd-pack.a
	$(TOOLS_CC) $(TOOLS_ALL_CFLAGS) -o $@ $^ $(KHTTPCTL_LIBS)

# The sample site, for tests and to try things out
SITE_HOSTS := $(notdir $(wildcard tests/site/hosts/*))
.PHONY: site
site: build/site.img
build/site.img: build/khttpctl tests/site/make-site tools/tools.mk \
		$(shell find tests/site/www tests/site/hosts -type f -not -name '* *')
	tests/site/make-site build/site
	build/khttpctl pack build/site/www $(foreach h,$(SITE_HOSTS),--host $(h)=build/site/hosts/$(h)) --clean-urls \
		--name sample -o $@

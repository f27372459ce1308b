# SPDX-License-Identifier: MIT OR GPL-2.0
# khttpd-epoll, the engine in user space: build/khttpd-epoll, and with sanitizers for its tests
EPOLL_PARSER := $(or $(HTTP_PARSER_DIR),compat/http_parser)
EPOLL_SOURCES := $(wildcard epoll/*.c) tools/khttpctl/image_file.c $(wildcard core/*.c pack/*.c)
EPOLL_HEADERS := $(wildcard epoll/*.h core/*.h pack/*.h) tools/khttpctl/khttpctl.h khttpd_netlink.h
EPOLL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-missing-field-initializers -Werror \
	-DHTTP_PARSER_STRICT=1 -I$(EPOLL_PARSER)

compat/http_parser/http_parser.c compat/http_parser/http_parser.h &:
	scripts/setup --only parser

# epoll-program NAME CFLAGS: each with objects of its own
define epoll-program
build/epoll/$(1)/%.o: %.c $$(EPOLL_HEADERS) epoll/epoll.mk | $$(EPOLL_PARSER)/http_parser.h
	@mkdir -p $$(@D)
	$$(CC) $$(EPOLL_CFLAGS) $(2) -c -o $$@ $$<

build/epoll/$(1)/http_parser.o: $$(EPOLL_PARSER)/http_parser.c epoll/epoll.mk
	@mkdir -p $$(@D)
	$$(CC) $$(EPOLL_CFLAGS) -Wno-implicit-fallthrough $(2) -c -o $$@ $$<

build/$(1): $$(EPOLL_SOURCES:%.c=build/epoll/$(1)/%.o) build/epoll/$(1)/http_parser.o
	$$(CC) $(2) -o $$@ $$^ $$(PACK_LIBS) -lseccomp
endef
$(eval $(call epoll-program,khttpd-epoll,-O2 -g -fstack-protector-strong))
$(eval $(call epoll-program,khttpd-epoll-asan,-O1 -g -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all))
$(eval $(call epoll-program,khttpd-epoll-tsan,-O1 -g -fsanitize=thread))

.PHONY: epoll
epoll: build/khttpd-epoll

build/try_sandbox: tests/epoll/try_sandbox.c epoll/sandbox.c epoll/sandbox.h
	@mkdir -p $(@D)
	$(CC) $(EPOLL_CFLAGS) -O1 -g -o $@ $(filter %.c,$^) -lseccomp

# With the objects of the server, which has the same packer
build/khttpctl-asan: $(patsubst %.c,build/epoll/khttpd-epoll-asan/%.o,$(KHTTPCTL_SOURCES) $(PACK_SOURCES))
	$(CC) -fsanitize=address -fsanitize=undefined -o $@ $^ $(KHTTPCTL_LIBS)

# The integration suite and what is its own, natively
.PHONY: check-epoll check-epoll-tsan check-epoll-valgrind
check-epoll: build/khttpd-epoll-asan build/khttpctl-asan
check-epoll-tsan: build/khttpd-epoll-tsan
check-epoll check-epoll-tsan check-epoll-valgrind: build/khttpd-epoll build/site.img build/khttpctl build/vm-tools/httpc build/try_sandbox
	tests/epoll/run $(if $(filter check-epoll,$@),asan,$(@:check-epoll-%=%))
# With the full counts
check-epoll-tsan check-epoll-valgrind: export KHTTPD_FULL := 1
LONG += check-epoll-tsan check-epoll-valgrind

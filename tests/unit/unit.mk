# SPDX-License-Identifier: MIT OR GPL-2.0
# Unit tests of core/, with ASan and UBSan, built by each compiler of UNIT_CCS.
UNIT_CCS ?= gcc clang
# Where, and more options: scripts/coverage has other ones
UNIT_BUILD := build/unit
UNIT_MORE_CFLAGS :=
UNIT_PARSER := $(or $(HTTP_PARSER_DIR),compat/http_parser)

UNIT_TESTS := date corpus request response site pack pack_rules
UNIT_CORE := $(wildcard core/*.c) pack/image.c
UNIT_HELPERS := tests/unit/unit.c tests/unit/engine.c tests/unit/fixture.c tests/unit/probe.c tests/unit/corpus.c
UNIT_HEADERS := $(wildcard core/*.h pack/*.h tests/unit/*.h tools/khttpctl/*.h)
# What the tests of packing have more: the packer, and of khttpctl what needs no module
UNIT_PACK := $(filter-out $(UNIT_CORE),$(wildcard pack/*.c)) tests/unit/sandbox.c
UNIT_PACK_LIBS := -ldeflate -lbrotlienc -lbrotlidec -lzstd -lpthread
UNIT_KHTTPCTL := tools/khttpctl/output.c tools/khttpctl/inspect.c tools/khttpctl/image_file.c
UNIT_CFLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wno-missing-field-initializers -Werror -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all $(UNIT_MORE_CFLAGS)
UNIT_CPPFLAGS = -I. -Icore -I$(UNIT_PARSER) -D_GNU_SOURCE -DHTTP_PARSER_STRICT=1

# $(call unit_rules,compiler): objects under $(UNIT_BUILD)/compiler/
define unit_rules
$(UNIT_BUILD)/$(1)/%.o: %.c $$(UNIT_HEADERS) tests/unit/unit.mk
	@mkdir -p $$(@D)
	$(1) $$(UNIT_CFLAGS) $$(UNIT_CPPFLAGS) -c -o $$@ $$<

# not ours: its warnings are its own
$(UNIT_BUILD)/$(1)/http_parser.o: $$(UNIT_PARSER)/http_parser.c tests/unit/unit.mk
	@mkdir -p $$(@D)
	$(1) $$(UNIT_CFLAGS) $$(UNIT_CPPFLAGS) -w -c -o $$@ $$<

$$(UNIT_TESTS:%=$(UNIT_BUILD)/$(1)/test_%): $(UNIT_BUILD)/$(1)/test_%: \
		$(UNIT_BUILD)/$(1)/tests/unit/test_%.o $(UNIT_BUILD)/$(1)/http_parser.o \
		$$(addprefix $(UNIT_BUILD)/$(1)/,$$(UNIT_CORE:.c=.o) $$(UNIT_HELPERS:.c=.o))
	$(1) $$(UNIT_CFLAGS) -o $$@ $$^ $$(UNIT_LIBS) -lcmocka

$(UNIT_BUILD)/$(1)/test_pack $(UNIT_BUILD)/$(1)/test_pack_rules: \
		$$(UNIT_PACK:%.c=$(UNIT_BUILD)/$(1)/%.o)
$(UNIT_BUILD)/$(1)/test_pack: $$(UNIT_KHTTPCTL:%.c=$(UNIT_BUILD)/$(1)/%.o)
$(UNIT_BUILD)/$(1)/test_pack: UNIT_LIBS := $$(UNIT_PACK_LIBS) -ljansson -Wl,--wrap=read,--wrap=syscall,--wrap=open,--wrap=fsync,--wrap=rename
$(UNIT_BUILD)/$(1)/test_pack_rules: UNIT_LIBS := $$(UNIT_PACK_LIBS)
endef
$(foreach cc,$(UNIT_CCS),$(eval $(call unit_rules,$(cc))))

UNIT_PROGRAMS := $(foreach cc,$(UNIT_CCS),$(UNIT_TESTS:%=$(UNIT_BUILD)/$(cc)/test_%))

.PHONY: unit
unit: $(UNIT_PROGRAMS)
	@status=0; for test in $^; do \
		echo "# $$test"; CMOCKA_MESSAGE_OUTPUT=TAP ASAN_OPTIONS=detect_leaks=0 ./$$test || status=1; \
	done; exit $$status

# clang-tidy on core/ and the tests' programs, each file anew when it or a header has changed; scripts/lint calls it.
# How many warnings of other people's headers it left out is of no interest.
# The tests of images and packing break on purpose what it looks for (strings, sizes, names of the linker's --wrap).
TIDY_FILES := $(UNIT_CORE) $(filter-out tests/unit/test_pack%.c tests/unit/test_site.c,$(wildcard tests/unit/*.c)) \
	tests/vm/tools/httpc.c tests/vm/tools/storm.c

build/tidy/%.ok: %.c $(UNIT_HEADERS) .clang-tidy tests/unit/unit.mk
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(UNIT_CFLAGS) $(UNIT_CPPFLAGS) 2>$(@:.ok=.log) || \
		{ grep -v 'warnings* generated\.$$' $(@:.ok=.log) >&2; exit 1; }
	@touch $@

.PHONY: tidy
tidy: $(TIDY_FILES:%.c=build/tidy/%.ok)

# SPDX-License-Identifier: MIT OR GPL-2.0
# Instructions that a look-up takes; writes artifacts/lookup.md. -O2, as the kernel is built.
LOOKUP_SOURCES := tests/bench/lookup.c $(filter-out core/request.c,$(wildcard core/*.c)) pack/image.c

.PHONY: bench-lookup
bench-lookup: build/bench/lookup
	tests/bench/lookup.sh $< artifacts/lookup.md

build/bench/lookup: $(LOOKUP_SOURCES) $(wildcard core/*.h pack/*.h) tests/bench/lookup.mk
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Werror -D_GNU_SOURCE \
		-I. -Icore -o $@ $(LOOKUP_SOURCES)

# SPDX-License-Identifier: MIT OR GPL-2.0
# Fuzzers of core/ (libFuzzer with ASan and UBSan). New inputs go to build/fuzz/corpus-*/.
FUZZ_CC ?= clang
FUZZ_ALL := request response connection site
# FUZZ_TARGET=: only this one of them. FUZZ_SECONDS=: for how long each; 0 is without end
FUZZ_TARGETS = $(or $(FUZZ_TARGET),$(FUZZ_ALL))

FUZZ_SHARED := $(wildcard core/*.c) tests/unit/engine.c tests/unit/fixture.c tests/unit/corpus.c \
	tests/fuzz/fuzz.c
FUZZ_HEADERS := $(wildcard core/*.h tests/unit/*.h tests/fuzz/*.h)
FUZZ_PARSER := $(or $(HTTP_PARSER_DIR),compat/http_parser)
FUZZ_SHARED += tests/unit/probe.c pack/image.c
FUZZ_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Werror \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all \
	-D_GNU_SOURCE -DHTTP_PARSER_STRICT=1 -I. -Icore -I$(FUZZ_PARSER)

# Coverage of core/ and http_parser is what leads the fuzzer, not of the tests' own code
build/fuzz/core/%.o build/fuzz/http_parser.o: FUZZ_COVERAGE := -fsanitize=fuzzer-no-link

build/fuzz/%.o: %.c $(FUZZ_HEADERS) tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_COVERAGE) -c -o $@ $<

build/fuzz/http_parser.o: $(FUZZ_PARSER)/http_parser.c tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_COVERAGE) -w -c -o $@ $<

$(FUZZ_ALL:%=build/fuzz/fuzz_%): build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o \
		$(FUZZ_SHARED:%.c=build/fuzz/%.o) build/fuzz/http_parser.o
	$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^

# $(call fuzz_run,target,seconds): the log goes to a file, its end to the terminal
define fuzz_run
@mkdir -p build/fuzz/corpus-$(1)
@echo "# fuzzing $(1)s$(if $(filter 0,$(2)), until Ctrl-C, for $(2) s); log: build/fuzz/$(1).log"
@if ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=8 ./build/fuzz/fuzz_$(1) -max_total_time=$(2) -max_len=1500 -timeout=10 -rss_limit_mb=1024 \
		-detect_leaks=1 $(addprefix -dict=,$(wildcard tests/fuzz/$(1).dict)) -artifact_prefix=build/fuzz/$(1)- \
		-print_final_stats=1 build/fuzz/corpus-$(1) tests/fuzz/corpus-$(1) \
		>build/fuzz/$(1).log 2>&1; then \
	echo "ok - fuzz $(1) # $$(sed -n 's/^stat::number_of_executed_units: *//p' \
		build/fuzz/$(1).log) runs"; \
else \
	tail -n 40 build/fuzz/$(1).log; echo "not ok - fuzz $(1)"; exit 1; \
fi
endef

.PHONY: fuzz fuzz-smoke fuzz-corpus $(FUZZ_ALL:%=fuzz-smoke-%) $(FUZZ_ALL:%=fuzz-run-%)
fuzz-smoke: $(FUZZ_TARGETS:%=fuzz-smoke-%)
$(FUZZ_ALL:%=fuzz-smoke-%): fuzz-smoke-%: build/fuzz/fuzz_%
	$(call fuzz_run,$*,$(or $(FUZZ_SECONDS),30))

# All at the same time, or the second would never begin
fuzz: $(FUZZ_TARGETS:%=build/fuzz/fuzz_%)
	+@$(MAKE) --no-print-directory -j $(words $(FUZZ_TARGETS)) $(FUZZ_TARGETS:%=fuzz-run-%)
$(FUZZ_ALL:%=fuzz-run-%): fuzz-run-%: build/fuzz/fuzz_%
	$(call fuzz_run,$*,$(or $(FUZZ_SECONDS),0))

# Makes tests/fuzz/corpus-*/ anew: the fewest inputs that cover what those there, the seeds and
# those that were found cover
fuzz-corpus: $(FUZZ_TARGETS:%=build/fuzz/fuzz_%) build/fuzz/seeds
	rm -rf build/fuzz/seeds.d build/fuzz/merged
	mkdir -p $(FUZZ_ALL:%=build/fuzz/seeds.d/%) $(FUZZ_TARGETS:%=build/fuzz/merged/%) \
		$(FUZZ_TARGETS:%=build/fuzz/corpus-%)
	./build/fuzz/seeds build/fuzz/seeds.d
	for t in $(FUZZ_TARGETS); do \
		./build/fuzz/fuzz_$$t -set_cover_merge=1 -use_counters=0 -max_len=1500 \
			-artifact_prefix=build/fuzz/$$t- build/fuzz/merged/$$t build/fuzz/seeds.d/$$t \
			build/fuzz/corpus-$$t tests/fuzz/corpus-$$t 2>/dev/null && \
		rm -rf tests/fuzz/corpus-$$t && mv build/fuzz/merged/$$t tests/fuzz/corpus-$$t || exit 1; \
	done

build/fuzz/seeds: tests/fuzz/seeds.c tests/unit/corpus.c $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O1 -Wall -Wno-missing-field-initializers -I. -o $@ $(filter %.c,$^)

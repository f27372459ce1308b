# SPDX-License-Identifier: MIT OR GPL-2.0
# Programs for the guests of tests/vm, static so that any user land runs them: build/vm-tools/*

VM_TOOLS_CC ?= gcc

.PHONY: vm-tools
vm-tools: build/vm-tools/httpc build/vm-tools/storm

build/vm-tools/%: tests/vm/tools/%.c
	mkdir -p $(@D)
	$(VM_TOOLS_CC) -O2 -g -Wall -Wextra -Werror -static -o $@ $<

# SPDX-License-Identifier: MIT OR GPL-2.0
# khttpd-epoll, the engine in user space
EPOLL_SOURCES := $(wildcard epoll/*.c) $(wildcard core/*.c) $(HTTP_PARSER)/http_parser.c

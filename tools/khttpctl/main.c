// SPDX-License-Identifier: MIT OR GPL-2.0
/* khttpctl: one command for people who serve a site with khttpd. */
#include <argp.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../khttpd_netlink.h"
#include "khttpctl.h"

const char *argp_program_version = "khttpctl " KHTTPD_VERSION ", site image format 1";

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "conns", cmd_conns },	    { "inspect", cmd_inspect }, { "load", cmd_load },
	{ "metrics", cmd_metrics }, { "pack", cmd_pack },	{ "serve", cmd_serve },
	{ "stats", cmd_stats },	    { "status", cmd_status },	{ "unload", cmd_unload },
};

static const char doc[] =
	"Make the sites that khttpd serves, and see and change what it does.\v"
	"Site images:\n"
	"  pack DIR -o FILE       make a site image of a folder\n"
	"  inspect FILE           show what a site image holds\n"
	"A server until Ctrl-C, by the module if possible, else in user space:\n"
	"  serve DIR|FILE         serve it; with --watch also what it becomes\n"
	"The module khttpd.ko:\n"
	"  load FILE|DIR          serve a site from now on; no request fails\n"
	"  unload                 serve the built-in page from now on\n"
	"  status                 what it serves, where, with which limits\n"
	"  stats                  what it has counted since it was loaded\n"
	"  metrics                the same for Prometheus and others (OpenMetrics)\n"
	"  conns                  its connections\n\n"
	"\"khttpctl COMMAND --help\" says more about each, and the manual page khttpctl(1).";

/* Ends at the command, whose options are its own. */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG:
		*(int *)state->input = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command");
	}
	return ARGP_ERR_UNKNOWN;
}

/* What was printed counts only when it got to where it should go. */
static void close_stdout(void)
{
	if (ferror(stdout) | fclose(stdout)) {
		warn("standard output");
		_Exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = doc,
	};
	static char name[64];
	int first = argc;
	size_t i;

	/* A file that gets too large shall be an error, not the end */
	signal(SIGXFSZ, SIG_IGN);
	atexit(close_stdout);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[first], commands[i].name))
			continue;
		snprintf(name, sizeof(name), "khttpctl %s", commands[i].name);
		argv[first] = name;
		return commands[i].run(argc - first, argv + first);
	}
	errx(argp_err_exit_status, "there is no command \"%s\"; see khttpctl --help", argv[first]);
}

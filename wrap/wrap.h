// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/wrap.h - The parts of qrap: private to qrap.c and wrap/.
 */

#ifndef WRAP_WRAP_H
#define WRAP_WRAP_H

#include <stdbool.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define PROPS_MAX	64	/* more than any device or back-end has */

/**
 * struct props - Key and value pairs, in the order given
 * @p:		pairs; the implied first key ('driver' or 'type') is empty
 * @n:		their number
 * @json:	they were written in JSON
 */
struct props {
	struct {
		const char *key, *value;
	} p[PROPS_MAX];
	unsigned int n;
	bool json;
};

/* Options that are looked at, or into. */
enum option {
	OPTION_NONE,		/* not an option, or none that matters */
	OPTION_DEVICE,
	OPTION_NETDEV,
	OPTION_NET,
	OPTION_NIC,
	OPTION_MACHINE,
	OPTION_ASK,		/* prints what is asked for, and quits */
	OPTION_TEXT,		/* free text: may look like an option */
};

/**
 * struct arg - An option with its value, or a lone word
 * @option:	which
 * @word:	as given
 * @value:	as given, NULL: none is known of
 * @props:	what @value says
 * @drop:	leave it out of the new command line
 */
struct arg {
	enum option option;
	char *word, *value;
	struct props props;
	bool drop;
};

/**
 * struct cmdline - A command line
 * @args:	arguments
 * @n:		their number
 */
struct cmdline {
	struct arg *args;
	unsigned int n;
};

/**
 * struct network - The values of the two options put in
 * @netdev, @device: each for the option of its name, allocated
 */
struct network {
	char *netdev, *device;
};

void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void *must(void *p);

int passt_connect(void);
void fd_pass(int s, int fd);
int fd_pass_free(int s);

void props_add(struct props *props, const char *key, const char *value);
const char *props_get(const struct props *props, const char *key);
const char *props_kind(const struct props *props, const char *key);

void cmdline_parse(struct cmdline *c, int argc, char **argv);
bool cmdline_probes(const struct cmdline *c);
char **cmdline_argv(const struct cmdline *c, char *program,
		    const struct network *net);

const struct props *cmdline_take_network(struct cmdline *c);
struct network network_new(const struct cmdline *c, const struct props *old,
			   int fd);

#endif /* WRAP_WRAP_H */

// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/wrap.h - What qrap.c and the files of wrap/ share. No other file
 * includes it.
 */

#ifndef WRAP_WRAP_H
#define WRAP_WRAP_H

#include <stdbool.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define PROPS_MAX	64	/* no device or back-end has as many */

/**
 * struct props - Properties of an option, in the order given
 * @p:		key and value; the key is "" if the first value has none
 * @n:		number of pairs
 * @json:	given in JSON, not as key=value,...
 */
struct props {
	struct {
		const char *key, *value;
	} p[PROPS_MAX];
	unsigned int n;
	bool json;
};

/* Options that qrap acts on. */
enum option {
	OPTION_NONE,		/* any other word */
	OPTION_DEVICE,
	OPTION_NETDEV,
	OPTION_NET,
	OPTION_NIC,
	OPTION_MACHINE,
	OPTION_QUERY,		/* qemu prints something and exits */
	OPTION_TEXT,		/* its value may look like an option */
};

/**
 * struct arg - An option with its value, or a single word
 * @option:	type of option
 * @word:	as given
 * @value:	as given; NULL if there is none, or @word is not in the table
 * @props:	parsed @value
 * @drop:	not part of the new command line
 */
struct arg {
	enum option option;
	char *word, *value;
	struct props props;
	bool drop;
};

/**
 * struct cmdline - A parsed command line
 * @args:	arguments
 * @n:		number of @args
 */
struct cmdline {
	struct arg *args;
	unsigned int n;
};

/**
 * struct network - Values of the two options that qrap adds
 * @netdev:	of -netdev, allocated
 * @device:	of -device, allocated
 */
struct network {
	char *netdev, *device;
};

void qrap_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void *not_null(void *p);

int passt_connect(void);
void socket_pass_as(int s, int fd);
int socket_pass_free(int s);

void props_add(struct props *props, const char *key, const char *value);
const char *props_get(const struct props *props, const char *key);
const char *props_type(const struct props *props, const char *key);

void cmdline_parse(struct cmdline *c, int argc, char **argv);
bool cmdline_is_query(const struct cmdline *c);
char **cmdline_argv(const struct cmdline *c, char *program,
		    const struct network *net);

const struct props *cmdline_remove_network(struct cmdline *c);
struct network network_choose(const struct cmdline *c, const struct props *old,
			      int fd);

#endif /* WRAP_WRAP_H */

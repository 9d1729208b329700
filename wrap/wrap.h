// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/wrap.h - Types and functions that qrap.c and the files of wrap/ share.
 */

#ifndef WRAP_WRAP_H
#define WRAP_WRAP_H

#include <stdbool.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define PROPS_MAX	64	/* no device has so many properties */

/**
 * struct props - Properties in the value of an option of qemu, in the same
 * order
 * @p:		pairs of key and value; the first key is "" if it was left out
 * @n:		number of pairs
 * @json:	the properties were given in JSON, not as key=value,...
 */
struct props {
	struct {
		const char *key, *value;
	} p[PROPS_MAX];
	unsigned int n;
	bool json;
};

/* Types of qemu's options that qrap distinguishes. */
enum option {
	OPTION_NONE,		/* any other option or word */
	OPTION_DEVICE,
	OPTION_NETDEV,
	OPTION_NET,
	OPTION_NIC,
	OPTION_MACHINE,
	OPTION_QUERY,		/* makes qemu print information and exit */
	OPTION_TEXT,		/* the value may look like another option */
};

/**
 * struct arg - An option with its value, or a single word
 * @option:	type of option
 * @word:	option or word, as given
 * @value:	value of the option, as given; NULL if there is none, or if
 *		qrap does not know the option
 * @props:	properties parsed from @value
 * @drop:	leave the option out of the new command line
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
 * @netdev:	value of -netdev, allocated
 * @device:	value of -device, allocated
 */
struct network {
	char *netdev, *device;
};

void qrap_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void *not_null(void *p)
	__attribute__((returns_nonnull));

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

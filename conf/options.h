/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * options.h - The table of command line options. conf_parse() and --help use
 * the table, and a test compares it with the manual page.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stddef.h>

#include "conf/conf.h"

/* Types of options. The type says which values an option accepts, and what it
 * sets in struct conf. */
enum opt_type {
	OPT_TRUE, OPT_FALSE,	/* no value: a field becomes true or false */
	OPT_NOTHING,		/* accepted without effect */
	OPT_LATER, OPT_REPAIR,	/* refused: only later versions have the
				 * option */
	OPT_NAMESPACE, OPT_VHOST_USER,	/* refused: options for other modes of
					 * the original passt */
	OPT_HELP, OPT_VERSION, OPT_CAPABILITIES, /* print text and end */
	OPT_QUIET, OPT_VERBOSE,
	OPT_PATH, OPT_SOCKET, OPT_FD,
	OPT_LOG_SIZE, OPT_STATS, OPT_MAX_FLOWS, OPT_RUNAS,
	OPT_MTU, OPT_LEASE_TIME, OPT_MAC,
	OPT_ADDRESS, OPT_NETMASK, OPT_INTERFACE, OPT_OUTBOUND_IF,
	OPT_ADDR, OPT_ADDR_OR_NONE, OPT_OUTBOUND,
	OPT_MAP_HOST,
	OPT_DNS, OPT_DNS_HOST, OPT_SEARCH,
	OPT_NAME,
	OPT_SPEC,
};

/**
 * struct opt - An option, or a heading between options
 * @name:	long name; NULL: the row is a heading
 * @letter:	short name, 0: none
 * @arg:	form of the value that --help shows; NULL: the option has no
 *		value
 * @help:	description or heading for --help; NULL: --help does not show
 *		the option, because this version refuses it
 * @type:	type of the value, see opt_set()
 * @field:	offset in struct conf of the field that the option sets. For an
 *		address, the field is an array with one element per family
 * @also:	second long name, NULL: none
 */
struct opt {
	const char *name;
	char letter;
	const char *arg;
	const char *help;
	enum opt_type type;
	size_t field;
	const char *also;
};

extern const struct opt conf_options[];
extern const unsigned int conf_option_count;

enum conf_next opt_set(struct conf *c, const struct opt *o, const char *arg);

#endif /* CONF_OPTIONS_H */

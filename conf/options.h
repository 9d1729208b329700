/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * options.h - The table of command line options. conf_parse() and --help use
 * the table, and a test compares it with the manual page.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stddef.h>

#include "conf/conf.h"

/**
 * struct opt - An option, or a heading between options
 * @name:	long name; NULL: the row is a heading
 * @letter:	short name, 0: none
 * @arg:	form of the value that --help shows; NULL: the option has no
 *		value
 * @help:	description or heading for --help; NULL: --help does not show
 *		the option
 * @set:	function that checks a value and stores it; returns CONF_GO, or
 *		what the program should do instead of starting
 * @field:	offset in struct conf of the field that @set sets. For an
 *		address, this is an array with one element per family
 */
struct opt {
	const char *name;
	char letter;
	const char *arg;
	const char *help;
	enum conf_next (*set)(struct conf *c, const struct opt *o,
			      const char *arg);
	size_t field;
};

extern const struct opt conf_options[];
extern const unsigned int conf_option_count;

enum conf_next opt_help(struct conf *c, const struct opt *o, const char *arg);
enum conf_next opt_version(struct conf *c, const struct opt *o,
			   const char *arg);
enum conf_next opt_capabilities(struct conf *c, const struct opt *o,
				const char *arg);

#endif /* CONF_OPTIONS_H */

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * options.h - The table of command line options. conf_parse() and --help use
 * it, and a test compares the manual page with it.
 */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <stddef.h>

#include "conf/conf.h"

/**
 * struct opt - An option, or a heading between options
 * @name:	long name, NULL: heading
 * @letter:	short name, 0: none
 * @arg:	form of its value, NULL: it takes none
 * @help:	a few words for --help; NULL: not shown there
 * @set:	checks the value and stores it; returns CONF_GO, or what the
 *		program should do instead of starting
 * @field:	offset in struct conf of the field that it sets; for an address:
 *		of an array by family
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

#endif /* CONF_OPTIONS_H */

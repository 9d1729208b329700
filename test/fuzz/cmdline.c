// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * cmdline.c - libFuzzer target: whatever command line of qemu qrap is given, it
 * keeps all options that are not about the network, in their order, and adds
 * one -netdev and one -device, which name each other.
 *
 * Each line of an input is an argument. qrap ends by execv(), and so frees
 * nothing: this target frees what qrap has allocated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARGS	12	/* limit for arguments in an input, for speed */
#define OWN_MAX	64

/* What qrap has allocated. */
static void *own[OWN_MAX];
static unsigned int nown;
static jmp_buf died;

static void *keep(void *p)
{
	if (nown == OWN_MAX)
		abort();
	own[nown++] = p;
	return p;
}

#define strdup(s)	keep(strdup(s))
#define calloc(n, size)	keep(calloc(n, size))
#include "../../wrap/cmdline.c"
#undef strdup
#undef calloc

#include "../../wrap/device.c"
#undef ARRAY_SIZE

#include "test/fuzz/fuzz.h"

UNCOUNTED

/* qrap_die() - End qrap with a message, which is no fault */
void qrap_die(const char *fmt, ...)
{
	char line[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	longjmp(died, 1);
}

void *not_null(void *p)
{
	MUST(p);
	return p;
}

/* check_words() - Check that each argument became a word or a value, in the
 * same order */
static void check_words(const struct cmdline *c, int argc, char **argv)
{
	unsigned int i;
	int at = 0;

	for (i = 0; i < c->n; i++) {
		MUST(at < argc && c->args[i].word == argv[at++]);
		MUST(!c->args[i].value || c->args[i].value == argv[at++]);
		MUST(c->args[i].props.n <= PROPS_MAX);
	}
	MUST(at == argc);
}

/* check_props() - Check that pairs that stand for text were taken from it:
 * together they are not longer than the text */
static void check_props(const struct arg *arg)
{
	const struct props *p = &arg->props;
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		MUST(p->p[i].key && p->p[i].value);
		len += strlen(p->p[i].key);
		MUST(props_get(p, p->p[i].key));
		if (strcmp(p->p[i].value, "on") && strcmp(p->p[i].value, "off"))
			len += strlen(p->p[i].value);
	}
	MUST(!p->n || (arg->value && len <= strlen(arg->value)));
}

/* check_new() - Check the new command line */
static void check_new(const struct cmdline *c, char **argv,
		      const struct network *net)
{
	unsigned int i, n = 1;

	for (i = 0; i < c->n; i++) {
		if (c->args[i].drop)
			continue;
		MUST(argv[n++] == c->args[i].word);
		MUST(!c->args[i].value || argv[n++] == c->args[i].value);
	}
	MUST(!strcmp(argv[n], "-netdev") && argv[n + 1] == net->netdev);
	MUST(!strcmp(argv[n + 2], "-device") && argv[n + 3] == net->device);
	MUST(!argv[n + 4]);
}

/* check_named() - Parse the two new options as qrap does, and check that the
 * device has a driver, and the ID of the back-end */
static void check_named(const struct network *net)
{
	char *argv[] = { (char[]){ "-netdev" }, net->netdev,
			 (char[]){ "-device" }, net->device };
	const char *id, *netdev;
	struct cmdline c;

	cmdline_parse(&c, 4, argv);
	MUST(c.n == 2 && !strcmp(props_type(&c.args[0].props, "type"),
				 "socket"));
	id = props_get(&c.args[0].props, "id");
	netdev = props_get(&c.args[1].props, "netdev");
	MUST(id && netdev && *props_type(&c.args[1].props, "driver"));
	MUST(c.args[1].props.json || !strcmp(id, netdev));
}

/* wrap() - Do what qrap does with a command line */
static void wrap(int argc, char **argv, struct network *net)
{
	static char program[] = "qemu";
	const struct props *old;
	struct cmdline c;
	char **after;
	unsigned int i;

	cmdline_parse(&c, argc, argv);
	check_words(&c, argc, argv);
	for (i = 0; i < c.n; i++)
		check_props(&c.args[i]);
	if (cmdline_is_query(&c))
		return;
	old = cmdline_remove_network(&c);
	*net = network_choose(&c, old, 5);
	after = cmdline_argv(&c, program, net);
	check_new(&c, after, net);
	check_named(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static struct network net;
	char *argv[ARGS + 1] = { NULL };
	int argc;

	for (argc = 0; argc < ARGS && in.left; argc++)
		argv[argc] = take_string(&in);
	net = (struct network){ NULL, NULL };
	nown = 0;
	if (!setjmp(died))
		wrap(argc, argv, &net);
	free(net.netdev);
	free(net.device);
	while (nown)
		free(own[--nown]);
	for (argc = 0; argc < ARGS; argc++)
		free(argv[argc]);
	return 0;
}

COUNTED

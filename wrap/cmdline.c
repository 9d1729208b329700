// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/cmdline.c - Take the emulator's command line apart, and write it anew.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/wrap.h"

/*
 * Properties of an option: driver,key=value,... or the same in JSON
 */

void props_add(struct props *props, const char *key, const char *value)
{
	if (props->n == PROPS_MAX)
		return;

	props->p[props->n].key = key;
	props->p[props->n++].value = value;
}

/* props_get() - Value of a key, the last one if repeated; NULL: not there */
const char *props_get(const struct props *props, const char *key)
{
	unsigned int i = props->n;

	while (i--) {
		if (!strcmp(props->p[i].key, key))
			return props->p[i].value;
	}
	return NULL;
}

/* props_kind() - The driver or type, which may go without its key */
const char *props_kind(const struct props *props, const char *key)
{
	const char *kind = props_get(props, key);

	if (!kind && props->n && !*props->p[0].key)
		kind = props->p[0].value;
	return kind ? kind : "";
}

/**
 * list_item() - Cut the next item off a comma-separated list, in place
 * @list:	rest of the list, moved on; NULL after the last item
 *
 * Return: the item, where a doubled comma has become one
 */
static char *list_item(char **list)
{
	char *item = *list, *in = item, *out = item;

	while (*in && (*in != ',' || in[1] == ',')) {
		if (*in == ',')
			in++;
		*out++ = *in++;
	}
	*list = *in ? in + 1 : NULL;
	*out = 0;
	return item;
}

/* list_props() - Take key=value,... apart, in place */
static void list_props(struct props *props, char *s)
{
	while (s) {
		char *item = list_item(&s), *eq = strchr(item, '=');

		if (eq) {
			*eq = 0;
			props_add(props, item, eq + 1);
		} else if (!props->n) {
			props_add(props, "", item);
		} else {
			props_add(props, item, "on");
		}
	}
}

static char *json_space(char *s)
{
	return s + strspn(s, " \t\r\n");
}

/**
 * json_string() - Take a JSON string apart, in place (RFC 8259 7)
 * @s:		at the opening quote, moved past the closing one
 *
 * Escapes of control and non-ASCII characters stay as they are: no name that
 * matters here has them.
 *
 * Return: the string, NULL if it doesn't end
 */
static char *json_string(char **s)
{
	char *start = *s + 1, *in = start, *out = start;

	for (; *in && *in != '"'; in++) {
		if (*in == '\\' && in[1] && strchr("\"\\/", in[1]))
			in++;
		else if (*in == '\\' && in[1])
			*out++ = *in++;
		*out++ = *in;
	}
	if (!*in)
		return NULL;

	*s = in + 1;
	*out = 0;
	return start;
}

/* json_skip() - Past an object or array at @s; NULL if it doesn't end */
static char *json_skip(char *s)
{
	unsigned int depth = 0;
	bool quoted = false;

	for (; *s; s++) {
		if (quoted && *s == '\\' && s[1])
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (!quoted && strchr("{[", *s))
			depth++;
		else if (!quoted && strchr("}]", *s) && !--depth)
			return s + 1;
	}
	return NULL;
}

/**
 * json_value() - Take a JSON value apart
 * @s:		at the value, moved past it
 * @end:	set to the end of a value that isn't terminated yet
 *
 * Return: value as qemu's list form has it, NULL on a mistake
 */
static const char *json_value(char **s, char **end)
{
	char *start = *s;

	*end = NULL;
	if (*start == '"')
		return json_string(s);

	if (*start == '{' || *start == '[')
		*s = json_skip(start);
	else
		*s = start + strcspn(start, ",}] \t\r\n");
	if (!*s || *s == start)
		return NULL;

	*end = *s;
	if (!strncmp(start, "true", 4))
		return "on";
	return strncmp(start, "false", 5) ? start : "off";
}

/**
 * json_member() - Take one "key": value apart, in place
 * @props:	pair is added here
 * @s:		at the key, moved past the comma or closing brace
 *
 * Return: the comma or brace that followed, 0 on a mistake
 */
static char json_member(struct props *props, char **s)
{
	const char *key, *value;
	char *end, next;

	key = **s == '"' ? json_string(s) : NULL;
	if (!key)
		return 0;
	*s = json_space(*s);
	if (*(*s)++ != ':')
		return 0;
	*s = json_space(*s);
	value = json_value(s, &end);
	if (!value)
		return 0;

	*s = json_space(*s);
	next = **s;
	if (end)
		*end = 0;
	if (next != ',' && next != '}')
		return 0;
	*s = json_space(*s + 1);
	props_add(props, key, value);
	return next;
}

/* json_props() - Take a JSON object apart, in place; nothing if it is wrong */
static void json_props(struct props *props, char *s)
{
	char next;

	props->json = true;
	s = json_space(s + 1);
	do {
		next = json_member(props, &s);
	} while (next == ',');
	if (next != '}' || *s)
		props->n = 0;
}

/*
 * The emulator's command line
 */

static const struct {
	const char *name;
	enum option option;
} options[] = {
	{ "device",	OPTION_DEVICE },
	{ "netdev",	OPTION_NETDEV },
	{ "net",	OPTION_NET },
	{ "nic",	OPTION_NIC },
	{ "machine",	OPTION_MACHINE },
	{ "M",		OPTION_MACHINE },
	{ "h",		OPTION_ASK },
	{ "help",	OPTION_ASK },
	{ "version",	OPTION_ASK },
	{ "append",	OPTION_TEXT },
	{ "name",	OPTION_TEXT },
};

static enum option option_find(const char *word)
{
	unsigned int i;

	if (*word++ != '-')
		return OPTION_NONE;
	if (*word == '-')
		word++;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(word, options[i].name))
			return options[i].option;
	}
	return OPTION_NONE;
}

static bool option_has_value(enum option option)
{
	return option != OPTION_NONE && option != OPTION_ASK;
}

static void arg_parse(struct arg *arg)
{
	char *s;

	if (!arg->value || arg->option == OPTION_TEXT)
		return;

	s = must(strdup(arg->value));
	if (*s == '{')
		json_props(&arg->props, s);
	else
		list_props(&arg->props, s);
}

/**
 * cmdline_parse() - Take a command line apart
 * @c:		command line, set
 * @argc:	number of arguments, without the program
 * @argv:	arguments
 */
void cmdline_parse(struct cmdline *c, int argc, char **argv)
{
	int i;

	c->args = must(calloc((size_t)argc + 1, sizeof(*c->args)));
	c->n = 0;
	for (i = 0; i < argc; i++) {
		struct arg *arg = &c->args[c->n++];

		arg->word = argv[i];
		arg->option = option_find(arg->word);
		if (option_has_value(arg->option) && i + 1 < argc)
			arg->value = argv[++i];
		arg_parse(arg);
	}
}

/* asks_help() - Is this word, or its last item, a request for a list? */
static bool asks_help(const char *s)
{
	const char *comma = strrchr(s, ',');

	if (comma)
		s = comma + 1;
	return !strcmp(s, "help") || !strcmp(s, "?");
}

/* arg_probes() - Does this argument make it a call that starts no guest? */
static bool arg_probes(const struct arg *arg)
{
	switch (arg->option) {
	case OPTION_ASK:
		return true;
	case OPTION_MACHINE:
		if (!strcmp(props_kind(&arg->props, "type"), "none"))
			return true;
		break;
	case OPTION_NONE:
		return asks_help(arg->word);
	case OPTION_DEVICE:
	case OPTION_NETDEV:
	case OPTION_NET:
	case OPTION_NIC:
		break;
	case OPTION_TEXT:
		return false;
	}
	return arg->value && asks_help(arg->value);
}

/* cmdline_probes() - Is this a question about the emulator itself? */
bool cmdline_probes(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (arg_probes(&c->args[i]))
			return true;
	}
	return false;
}

/**
 * cmdline_argv() - The new command line
 * @c:		arguments, some to be left out
 * @program:	emulator
 * @net:	network to put in
 *
 * The network goes last: devices before it have their slots by then.
 *
 * Return: argument vector, allocated
 */
char **cmdline_argv(const struct cmdline *c, char *program,
			   const struct network *net)
{
	static char opt_netdev[] = "-netdev", opt_device[] = "-device";
	char **argv = must(calloc(2 * (size_t)c->n + 6, sizeof(*argv)));
	unsigned int i, n = 0;

	argv[n++] = program;
	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];

		if (arg->drop)
			continue;
		argv[n++] = arg->word;
		if (arg->value)
			argv[n++] = arg->value;
	}
	argv[n++] = opt_netdev;
	argv[n++] = net->netdev;
	argv[n++] = opt_device;
	argv[n++] = net->device;
	return argv;
}

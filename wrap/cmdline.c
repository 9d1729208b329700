// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/cmdline.c - Parses qemu's command line, in which properties are given as
 * lists or in JSON, and builds the new command line.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/wrap.h"

/**
 * props_add() - Append a pair, unless there are PROPS_MAX pairs already
 * @props:	pairs
 * @key:	key, not copied
 * @value:	value, not copied
 */
void props_add(struct props *props, const char *key, const char *value)
{
	if (props->n == PROPS_MAX)
		return;

	props->p[props->n].key = key;
	props->p[props->n++].value = value;
}

/**
 * props_get() - Find the value of a key
 * @props:	pairs
 * @key:	key to look for
 *
 * Return: value of the last pair with that key, NULL if there is none
 */
const char *props_get(const struct props *props, const char *key)
{
	unsigned int i = props->n;

	while (i--) {
		if (!strcmp(props->p[i].key, key))
			return props->p[i].value;
	}
	return NULL;
}

/**
 * props_type() - Get the driver of a -device, or the type of a -netdev
 *
 * As in qemu, the first pair may be a value without its key: "-device
 * virtio-net-pci" means "-device driver=virtio-net-pci".
 *
 * @props:	pairs
 * @key:	"driver" or "type"
 *
 * Return: value, "" if there is none
 */
const char *props_type(const struct props *props, const char *key)
{
	const char *type = props_get(props, key);

	if (!type && props->n && !*props->p[0].key)
		type = props->p[0].value;
	return type ? type : "";
}

/*
 * list_next_item() - Cut the first item off a comma-separated list, in place;
 * return it, and set @list to the next item, or to NULL after the last. In an
 * item, a doubled comma becomes one comma.
 */
static char *list_next_item(char **list)
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

/* list_parse() - Parse key=value,... in place */
static void list_parse(struct props *props, char *s)
{
	while (s) {
		char *item = list_next_item(&s), *eq = strchr(item, '=');

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

static char *json_skip_space(char *s)
{
	return s + strspn(s, " \t\r\n");
}

/*
 * json_parse_string() - Parse a JSON string in place (RFC 8259 7), and move @s
 * from the opening quote past the closing quote; NULL: no closing quote.
 * Escapes of control and non-ASCII characters are not decoded: no driver, key
 * or identifier needs them.
 */
static char *json_parse_string(char **s)
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

/* json_skip_nested() - Find the end of a JSON object or array; NULL: it has no
 * end */
static char *json_skip_nested(char *s)
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

/*
 * json_parse_value() - Parse a JSON value, and move @s past it. Returns the
 * value in the form that it has in qemu's lists ("on" for true), or NULL if it
 * is malformed. If the value is not terminated yet, @end is set to the byte
 * after it: the caller reads this byte, and then writes 0 there. Else @end is
 * set to NULL.
 */
static const char *json_parse_value(char **s, char **end)
{
	char *start = *s;

	*end = NULL;
	if (*start == '"')
		return json_parse_string(s);

	if (*start == '{' || *start == '[')
		*s = json_skip_nested(start);
	else
		*s = start + strcspn(start, ",}] \t\r\n");
	if (!*s || *s == start)
		return NULL;

	*end = *s;
	if (!strncmp(start, "true", 4))
		return "on";
	return strncmp(start, "false", 5) ? start : "off";
}

/*
 * json_parse_member() - Parse one member of an object, "key": value, in place,
 * and move @s past the comma or closing brace after it. Returns this comma or
 * brace, or 0 if the member is malformed.
 */
static char json_parse_member(struct props *props, char **s)
{
	const char *key, *value;
	char *end, next;

	key = **s == '"' ? json_parse_string(s) : NULL;
	if (!key)
		return 0;
	*s = json_skip_space(*s);
	if (*(*s)++ != ':')
		return 0;
	*s = json_skip_space(*s);
	value = json_parse_value(s, &end);
	if (!value)
		return 0;

	*s = json_skip_space(*s);
	next = **s;
	if (end)
		*end = 0;
	if (next != ',' && next != '}')
		return 0;
	*s = json_skip_space(*s + 1);
	props_add(props, key, value);
	return next;
}

/* json_parse() - Parse a JSON object in place; @props gets no pairs if the
 * object is malformed */
static void json_parse(struct props *props, char *s)
{
	char next;

	props->json = true;
	s = json_skip_space(s + 1);
	do {
		next = json_parse_member(props, &s);
	} while (next == ',');
	if (next != '}' || *s)
		props->n = 0;
}

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
	{ "h",		OPTION_QUERY },
	{ "help",	OPTION_QUERY },
	{ "version",	OPTION_QUERY },
	{ "append",	OPTION_TEXT },
	{ "name",	OPTION_TEXT },
};

static enum option find_option(const char *word)
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
	return option != OPTION_NONE && option != OPTION_QUERY;
}

static void arg_parse(struct arg *arg)
{
	char *s;

	if (!arg->value || arg->option == OPTION_TEXT)
		return;

	s = not_null(strdup(arg->value));
	if (*s == '{')
		json_parse(&arg->props, s);
	else
		list_parse(&arg->props, s);
}

/**
 * cmdline_parse() - Parse a command line
 * @c:		set to the parsed command line
 * @argc:	number of arguments, without the name of the program
 * @argv:	arguments; @c keeps pointers to these strings
 */
void cmdline_parse(struct cmdline *c, int argc, char **argv)
{
	int i;

	c->args = not_null(calloc((size_t)argc + 1, sizeof(*c->args)));
	c->n = 0;
	for (i = 0; i < argc; i++) {
		struct arg *arg = &c->args[c->n++];

		arg->word = argv[i];
		arg->option = find_option(arg->word);
		if (option_has_value(arg->option) && i + 1 < argc)
			arg->value = argv[++i];
		arg_parse(arg);
	}
}

/* asks_for_help() - Whether the last item of a comma-separated list is "help"
 * or "?" */
static bool asks_for_help(const char *s)
{
	const char *comma = strrchr(s, ',');

	if (comma)
		s = comma + 1;
	return !strcmp(s, "help") || !strcmp(s, "?");
}

static bool arg_is_query(const struct arg *arg)
{
	switch (arg->option) {
	case OPTION_QUERY:
		return true;
	case OPTION_MACHINE:
		if (!strcmp(props_type(&arg->props, "type"), "none"))
			return true;
		break;
	case OPTION_NONE:
		return asks_for_help(arg->word);
	case OPTION_DEVICE:
	case OPTION_NETDEV:
	case OPTION_NET:
	case OPTION_NIC:
		break;
	case OPTION_TEXT:
		return false;
	}
	return arg->value && asks_for_help(arg->value);
}

/**
 * cmdline_is_query() - Whether a command line makes qemu only print
 *		information, or tell libvirt its capabilities, and start no
 *		guest
 * @c:		command line
 *
 * Return: true if qemu would start no guest, and so needs no network
 */
bool cmdline_is_query(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (arg_is_query(&c->args[i]))
			return true;
	}
	return false;
}

/**
 * cmdline_argv() - Build the new command line
 * @c:		old command line; arguments with @drop set are left out
 * @program:	path of the emulator
 * @net:	network options. They are added at the end, so that qemu gives
 *		slots to all other devices first
 *
 * Return: argument vector of the new command line, allocated
 */
char **cmdline_argv(const struct cmdline *c, char *program,
		    const struct network *net)
{
	static char opt_netdev[] = "-netdev", opt_device[] = "-device";
	char **argv = not_null(calloc(2 * (size_t)c->n + 6, sizeof(*argv)));
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

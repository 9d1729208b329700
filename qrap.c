// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * qrap.c - The wrapper that starts qemu connected to passt, for emulators
 * without -netdev stream and for management tools that know nothing of passt.
 * A program of its own: calls only libc; run by users and, in the place of
 * the emulator, by the likes of libvirt.
 *
 *	qrap FD COMMAND [ARG...]
 * runs COMMAND with passt's socket as descriptor FD, and leaves its arguments
 * alone.
 *
 *	qrap ARG...
 * runs the emulator with ARG..., where all networking is replaced by one
 * virtio network device on passt's socket. The new device takes the identity
 * (id, MAC address, slot) of the first one it replaces, the back-end that of
 * its back-end, so that whatever refers to them by name still finds them.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define SOCKET_FORMAT	"/tmp/passt_%u.socket"	/* as passt names them */
#define SOCKET_MAX	64
#define SOCKET_ENV	"PASST_SOCKET"		/* try this one only */

/* For how long a passt that is there, but does not take us, may restart. */
#define RETRY_MS	5000
#define RETRY_STEP_MS	100
/* passt hangs up on a second guest at once: a few passes of its loop. */
#define TURN_AWAY_MS	200

#define EMULATOR_FD	5	/* if free: the number in everyone's examples */

#define PROPS_MAX	64	/* more than any device or back-end has */
#define SLOTS		32	/* of a PCI bus */
#define DEVNO_MAX	0xffff	/* of a channel subsystem */

/* die() - One line about what is wrong and what would be right, exit 1 */
static void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	fputs("qrap: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

/*
 * The socket
 */

/* What became of an attempt on one socket. */
enum try {
	TRY_OK,
	TRY_ABSENT,	/* no such file */
	TRY_REFUSED,	/* a file, but nobody listens: stale, or restarting */
	TRY_BUSY,	/* passt serves another guest */
	TRY_FAILED,	/* anything else, such as a lack of permission */
};

/**
 * turned_away() - passt accepts a second guest only to hang up on it
 * @s:		connected socket
 *
 * Return: true if the other side has closed the connection
 */
static bool turned_away(int s)
{
	struct pollfd p = { .fd = s, .events = POLLIN };
	char c;

	if (poll(&p, 1, TURN_AWAY_MS) <= 0)
		return false;

	return recv(s, &c, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static enum try try_errno(int err)
{
	switch (err) {
	case ENOENT:
		return TRY_ABSENT;
	case ECONNREFUSED:
		return TRY_REFUSED;
	case EAGAIN:
		return TRY_BUSY;
	default:
		return TRY_FAILED;
	}
}

/**
 * try_socket() - Connect to one path
 * @path:	socket
 * @s:		set to the connection, close-on-exec, if the result is TRY_OK
 *
 * Return: what happened; errno tells more about TRY_FAILED
 */
static enum try try_socket(const char *path, int *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	enum try result;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return TRY_FAILED;
	}
	strcpy(sun.sun_path, path);

	*s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*s < 0)
		die("can't open a socket: %s", strerror(errno));

	if (connect(*s, (struct sockaddr *)&sun, sizeof(sun)))
		result = try_errno(errno);
	else
		result = turned_away(*s) ? TRY_BUSY : TRY_OK;

	if (result != TRY_OK) {
		int err = errno;

		close(*s);
		errno = err;
	}
	return result;
}

/**
 * struct attempt - The sockets tried, and what to tell about them
 * @only:	path to try instead of the usual ones, NULL: none
 * @told:	what was there and didn't serve, for the message
 * @seen:	a socket was there: worth trying again
 */
struct attempt {
	const char *only;
	char told[1024];
	bool seen;
};

static void attempt_tell(struct attempt *a, const char *path, const char *why)
{
	size_t len = strlen(a->told);

	snprintf(a->told + len, sizeof(a->told) - len, "%s%s (%s)",
		 len ? ", " : "", path, why);
}

/**
 * attempt_path() - Try one socket, note why it doesn't serve
 * @a:		the attempt
 * @path:	socket
 * @s:		set to the connection on success
 *
 * Return: true on success
 */
static bool attempt_path(struct attempt *a, const char *path, int *s)
{
	switch (try_socket(path, s)) {
	case TRY_OK:
		return true;
	case TRY_ABSENT:
		break;
	case TRY_REFUSED:
		a->seen = true;
		attempt_tell(a, path, "nobody listens");
		break;
	case TRY_BUSY:
		a->seen = true;
		attempt_tell(a, path, "serves another guest");
		break;
	case TRY_FAILED:
		attempt_tell(a, path, strerror(errno));
		break;
	}
	return false;
}

/* attempt_all() - One round over every socket; true when one is connected */
static bool attempt_all(struct attempt *a, int *s)
{
	unsigned int i;

	a->told[0] = 0;
	if (a->only)
		return attempt_path(a, a->only, s);

	for (i = 1; i <= SOCKET_MAX; i++) {
		char path[sizeof(SOCKET_FORMAT) + 8];

		snprintf(path, sizeof(path), SOCKET_FORMAT, i);
		if (attempt_path(a, path, s))
			return true;
	}
	return false;
}

static void attempt_die(const struct attempt *a)
{
	const char *told = a->told[0] ? a->told : "none exists";

	if (a->only)
		die("no passt to connect to at %s=%s: %s; start it with: passt -s %s",
		    SOCKET_ENV, a->only, told, a->only);

	die("no passt to connect to: tried " SOCKET_FORMAT " to " SOCKET_FORMAT
	    ": %s; start it with: passt", 1, SOCKET_MAX, told);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/**
 * passt_connect() - Connect to the first passt that takes us, or exit
 *
 * A passt that restarts leaves its socket's file behind for a moment, takes it
 * away and makes it anew: once a file was seen, keep trying for a while.
 *
 * Return: connected, blocking socket, close-on-exec
 */
static int passt_connect(void)
{
	struct attempt a = { .only = getenv(SOCKET_ENV) };
	uint64_t deadline = now_ms() + RETRY_MS;
	int s;

	while (!attempt_all(&a, &s)) {
		if (!a.seen || now_ms() >= deadline)
			attempt_die(&a);
		poll(NULL, 0, RETRY_STEP_MS);
	}

	/* Who inherits it expects what a plain connect() gives. */
	fcntl(s, F_SETFL, fcntl(s, F_GETFL) & ~O_NONBLOCK);
	return s;
}

/**
 * fd_pass() - Make a socket the descriptor that the command will inherit
 * @s:		socket, close-on-exec; closed unless it is @fd itself
 * @fd:		number to give it
 */
static void fd_pass(int s, int fd)
{
	if (s == fd) {
		fcntl(fd, F_SETFD, 0);
		return;
	}
	if (dup2(s, fd) < 0)
		die("can't make the socket descriptor %d: %s", fd,
		    strerror(errno));
	close(s);
}

/* fd_pass_free() - Likewise, as EMULATOR_FD or the first free one after it */
static int fd_pass_free(int s)
{
	int fd = fcntl(s, F_DUPFD, EMULATOR_FD);

	if (fd < 0)
		die("no free descriptor for the socket: %s", strerror(errno));
	close(s);
	return fd;
}

/*
 * Properties of an option: driver,key=value,... or the same in JSON
 */

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

static void props_add(struct props *props, const char *key, const char *value)
{
	if (props->n == PROPS_MAX)
		return;

	props->p[props->n].key = key;
	props->p[props->n++].value = value;
}

/* props_get() - Value of a key, the last one if repeated; NULL: not there */
static const char *props_get(const struct props *props, const char *key)
{
	unsigned int i = props->n;

	while (i--) {
		if (!strcmp(props->p[i].key, key))
			return props->p[i].value;
	}
	return NULL;
}

/* props_kind() - The driver or type, which may go without its key */
static const char *props_kind(const struct props *props, const char *key)
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
static void cmdline_parse(struct cmdline *c, int argc, char **argv)
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
static bool cmdline_probes(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (arg_probes(&c->args[i]))
			return true;
	}
	return false;
}

/*
 * The machine: what a network device is called there, and where it goes
 */

/**
 * struct machine - A machine, or a family of its versions
 * @name:	up to the version
 * @driver:	virtio network device
 * @bus:	PCI bus that devices without one are on, NULL: let qemu choose
 */
struct machine {
	const char *name, *driver, *bus;
};

static const struct machine machines[] = {
	{ "pc-q35",		"virtio-net-pci",	"pcie.0" },
	{ "q35",		"virtio-net-pci",	"pcie.0" },
	{ "pc-i440fx",		"virtio-net-pci",	"pci.0" },
	{ "pc",			"virtio-net-pci",	"pci.0" },
	{ "virt",		"virtio-net-pci",	"pcie.0" },
	{ "pseries",		"virtio-net-pci",	"pci.0" },
	{ "s390-ccw-virtio",	"virtio-net-ccw",	NULL },
	{ "microvm",		"virtio-net-device",	NULL },
};

/* Where nothing is said or known: qemu finds a place by itself. */
static const struct machine machine_any = { "", "virtio-net-pci", NULL };
static const struct machine machine_s390 = { "", "virtio-net-ccw", NULL };

static const struct machine *machine_default(void)
{
	struct utsname host;

	if (!uname(&host) && !strcmp(host.machine, "s390x"))
		return &machine_s390;
	return &machine_any;
}

static const struct machine *machine_find(const char *type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		size_t len = strlen(machines[i].name);

		if (!strncmp(type, machines[i].name, len) &&
		    (!type[len] || type[len] == '-'))
			return &machines[i];
	}
	return machine_default();
}

/* cmdline_machine() - The machine asked for; the last one counts */
static const struct machine *cmdline_machine(const struct cmdline *c)
{
	const struct machine *m = machine_default();
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *type;

		if (arg->option != OPTION_MACHINE)
			continue;
		type = props_kind(&arg->props, "type");
		if (*type)
			m = machine_find(type);
	}
	return m;
}

/*
 * What is taken out
 */

/* Network devices that may be there without a back-end. */
static const char *const models[] = {
	"virtio-net", "virtio-net-pci", "virtio-net-pci-transitional",
	"virtio-net-pci-non-transitional", "virtio-net-ccw",
	"virtio-net-device", "e1000", "e1000-82540em", "e1000-82544gc",
	"e1000-82545em", "e1000e", "igb", "i82550", "i82551", "i82557a",
	"i82557b", "i82557c", "i82558a", "i82558b", "i82559a", "i82559b",
	"i82559c", "i82559er", "i82562", "i82801", "ne2k_isa", "ne2k_pci",
	"pcnet", "rtl8139", "rocker", "spapr-vlan", "sungem", "sunhme",
	"tulip", "usb-net", "vmxnet3",
};

static bool is_network_device(const struct props *props)
{
	const char *driver = props_kind(props, "driver");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(models); i++) {
		if (!strcmp(driver, models[i]))
			return true;
	}
	return props_get(props, "netdev") != NULL;
}

static bool is_network(const struct arg *arg)
{
	switch (arg->option) {
	case OPTION_NETDEV:
	case OPTION_NET:
	case OPTION_NIC:
		return true;
	case OPTION_DEVICE:
		return is_network_device(&arg->props);
	case OPTION_NONE:
	case OPTION_MACHINE:
	case OPTION_ASK:
	case OPTION_TEXT:
		break;
	}
	return false;
}

/**
 * cmdline_take_network() - Take networking out of a command line
 * @c:		command line
 *
 * Return: what the first network device was to be, as far as it was said;
 *	   one given by -device tells more than one given by -nic or -net
 */
static const struct props *cmdline_take_network(struct cmdline *c)
{
	static const struct props none;
	const struct props *device = NULL, *nic = NULL;
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		struct arg *arg = &c->args[i];

		if (!is_network(arg))
			continue;
		arg->drop = true;
		if (arg->option == OPTION_DEVICE && !device)
			device = &arg->props;
		else if ((props_get(&arg->props, "mac") ||
			  props_get(&arg->props, "macaddr")) && !nic)
			nic = &arg->props;
	}
	return device ? device : nic ? nic : &none;
}

/*
 * Where the new device goes
 */

/* is_port() - A PCI Express port, which is a bus with room for one device */
static bool is_port(const struct props *props)
{
	const char *driver = props_kind(props, "driver");

	return !strcmp(driver, "pcie-root-port") || !strcmp(driver, "ioh3420");
}

/* cmdline_bus_used() - Is a device that stays on this bus? */
static bool cmdline_bus_used(const struct cmdline *c, const char *bus)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *on = props_get(&arg->props, "bus");

		if (arg->option == OPTION_DEVICE && !arg->drop && on &&
		    !strcmp(on, bus))
			return true;
	}
	return false;
}

/* cmdline_free_port() - Name of a port without a device, NULL: none */
static const char *cmdline_free_port(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *id = props_get(&arg->props, "id");

		if (arg->option == OPTION_DEVICE && is_port(&arg->props) &&
		    id && !cmdline_bus_used(c, id))
			return id;
	}
	return NULL;
}

/**
 * cmdline_free_slot() - Find a free slot of the bus that devices default to
 * @c:		command line
 * @bus:	its name
 *
 * From the top: devices without an address are given slots from the bottom.
 *
 * Return: slot, -1 if there is none
 */
static int cmdline_free_slot(const struct cmdline *c, const char *bus)
{
	/* 0 is the host bridge; 31 holds the built-in devices of a q35. */
	uint32_t taken = 1U << 0 | 1U << 31;
	unsigned int i;
	int slot;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *on = props_get(&arg->props, "bus");
		const char *addr = props_get(&arg->props, "addr");

		if (arg->option != OPTION_DEVICE || arg->drop || !addr ||
		    (on && strcmp(on, bus)))
			continue;
		/* SLOT or SLOT.FUNCTION, hexadecimal with or without 0x */
		taken |= 1U << (strtoul(addr, NULL, 16) % SLOTS);
	}
	for (slot = SLOTS - 1; slot >= 0 && taken & 1U << slot; slot--)
		;
	return slot;
}

/* cmdline_devno_used() - Is a channel device that stays at fe.0.@devno? */
static bool cmdline_devno_used(const struct cmdline *c, unsigned int devno)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *on = props_get(&arg->props, "devno");

		if (arg->option == OPTION_DEVICE && !arg->drop && on &&
		    !strncasecmp(on, "fe.0.", 5) &&
		    strtoul(on + 5, NULL, 16) == devno)
			return true;
	}
	return false;
}

/*
 * What is put in
 */

/**
 * struct device - The new network device
 * @props:	what is said of it, the driver first
 * @place:	text of a place that was found
 */
struct device {
	struct props props;
	char place[sizeof("fe.0.ffff")];
};

/* device_keep() - Take a property over from the old device, if it has it */
static void device_keep(struct device *d, const struct props *old,
			const char *key)
{
	const char *value = props_get(old, key);

	if (value)
		props_add(&d->props, key, value);
}

/* device_place_pci() - The place of a PCI device: the old, or a free one */
static void device_place_pci(struct device *d, const struct cmdline *c,
			     const struct machine *m, const struct props *old)
{
	const char *port;
	int slot;

	if (props_get(old, "addr")) {
		device_keep(d, old, "bus");
		device_keep(d, old, "addr");
		device_keep(d, old, "multifunction");
		return;
	}
	if (!m->bus)
		return;

	port = cmdline_free_port(c);
	slot = port ? 0 : cmdline_free_slot(c, m->bus);
	if (slot < 0)
		return;

	snprintf(d->place, sizeof(d->place), "0x%x", (unsigned int)slot);
	props_add(&d->props, "bus", port ? port : m->bus);
	props_add(&d->props, "addr", d->place);
}

/* device_place_ccw() - Likewise for a channel device */
static void device_place_ccw(struct device *d, const struct cmdline *c,
			     const struct props *old)
{
	unsigned int devno = DEVNO_MAX;

	if (props_get(old, "devno")) {
		device_keep(d, old, "devno");
		return;
	}
	while (devno && cmdline_devno_used(c, devno))
		devno--;
	snprintf(d->place, sizeof(d->place), "fe.0.%04x", devno & DEVNO_MAX);
	props_add(&d->props, "devno", d->place);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && !strcmp(s + len - end_len, end);
}

/* backend_id() - The name that the old device knew its back-end by */
static const char *backend_id(const struct props *old)
{
	const char *id = props_get(old, "netdev");

	return id ? id : "qrap";
}

/**
 * device_new() - The network device that replaces another
 * @d:		device, set
 * @c:		command line, without the old ones
 * @old:	the device that is replaced
 */
static void device_new(struct device *d, const struct cmdline *c,
		       const struct props *old)
{
	const struct machine *m = cmdline_machine(c);
	const char *driver = props_kind(old, "driver");
	const char *mac = props_get(old, "macaddr");

	/* Other virtio network devices differ in how they are attached. */
	if (strncmp(driver, "virtio-net", strlen("virtio-net")))
		driver = m->driver;

	d->props.n = 0;
	props_add(&d->props, "driver", driver);
	props_add(&d->props, "netdev", backend_id(old));
	device_keep(d, old, "id");
	device_keep(d, old, "mac");
	if (mac)
		props_add(&d->props, "mac", mac);
	device_keep(d, old, "bootindex");

	if (ends_with(driver, "-ccw"))
		device_place_ccw(d, c, old);
	else if (!ends_with(driver, "-device"))
		device_place_pci(d, c, m, old);
}

/* put_escaped() - Write text, where @escape goes before some characters */
static void put_escaped(FILE *t, const char *s, const char *special,
			char escape)
{
	for (; *s; s++) {
		if (strchr(special, *s))
			fputc(escape, t);
		fputc(*s, t);
	}
}

/* put_list() - Write driver,key=value,... */
static void put_list(FILE *t, const struct props *props)
{
	unsigned int i;

	for (i = 0; i < props->n; i++) {
		if (i)
			fprintf(t, ",%s=", props->p[i].key);
		put_escaped(t, props->p[i].value, ",", ',');
	}
}

/* put_json() - Write the same in JSON, where not all values are strings */
static void put_json(FILE *t, const struct props *props)
{
	unsigned int i;

	for (i = 0; i < props->n; i++) {
		const char *key = props->p[i].key, *value = props->p[i].value;

		fprintf(t, "%s\"%s\":", i ? "," : "{", key);
		if (!strcmp(key, "bootindex")) {
			fprintf(t, "%ld", strtol(value, NULL, 0));
		} else if (!strcmp(key, "multifunction")) {
			fputs(strcmp(value, "on") ? "false" : "true", t);
		} else {
			fputc('"', t);
			put_escaped(t, value, "\"\\", '\\');
			fputc('"', t);
		}
	}
	fputc('}', t);
}

/* cmdline_json() - Is a device that stays given in JSON? */
static bool cmdline_json(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];

		if (arg->option == OPTION_DEVICE && !arg->drop &&
		    arg->props.json)
			return true;
	}
	return false;
}

/**
 * struct network - The values of the two options put in
 * @netdev, @device: each for the option of its name, allocated
 */
struct network {
	char *netdev, *device;
};

/**
 * network_new() - What replaces the networking that was taken out
 * @c:		command line, without it
 * @old:	the device that is replaced
 * @fd:		inherited socket
 *
 * qemu makes devices given in JSON after all the others: among those, the new
 * one has to be, too, so that there is the bus that it goes to.
 */
static struct network network_new(const struct cmdline *c,
				  const struct props *old, int fd)
{
	struct network net = { NULL, NULL };
	struct device d;
	size_t size;
	FILE *t;

	t = must(open_memstream(&net.netdev, &size));
	fprintf(t, "socket,fd=%d,id=", fd);
	put_escaped(t, backend_id(old), ",", ',');
	fclose(t);
	must(net.netdev);

	device_new(&d, c, old);
	t = must(open_memstream(&net.device, &size));
	if (cmdline_json(c))
		put_json(t, &d.props);
	else
		put_list(t, &d.props);
	fclose(t);
	must(net.device);
	return net;
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
static char **cmdline_argv(const struct cmdline *c, char *program,
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

/*
 * The emulator
 */

/* Folders looked through after those of PATH. */
static const char usual_folders[] =
	"/usr/local/bin:/usr/bin:/bin:/usr/libexec:/usr/lib/qemu";

/* is_self() - Is this file the running program? */
static bool is_self(const struct stat *file)
{
	struct stat self;

	return !stat("/proc/self/exe", &self) &&
	       self.st_dev == file->st_dev && self.st_ino == file->st_ino;
}

/**
 * program_find() - Find a program that isn't this one
 * @name:	file name
 * @folders:	separated by colons
 *
 * Return: path, allocated, NULL if it is nowhere
 */
static char *program_find(const char *name, const char *folders)
{
	while (*folders) {
		size_t len = strcspn(folders, ":");
		struct stat file;
		char *path;

		if (asprintf(&path, "%.*s/%s", (int)len, folders, name) < 0)
			path = NULL;
		must(path);
		if (len && !stat(path, &file) && S_ISREG(file.st_mode) &&
		    !access(path, X_OK) && !is_self(&file))
			return path;

		free(path);
		folders += len + (folders[len] == ':');
	}
	return NULL;
}

static char *program_find_all(const char *name)
{
	const char *env = getenv("PATH");
	char *path = env ? program_find(name, env) : NULL;

	return path ? path : program_find(name, usual_folders);
}

/* host_arch() - What qemu calls the architecture we run on */
static const char *host_arch(struct utsname *host)
{
	static const struct {
		const char *kernel, *qemu;
	} names[] = {
		{ "i486",	"i386" },
		{ "i586",	"i386" },
		{ "i686",	"i386" },
		{ "armv6l",	"arm" },
		{ "armv7l",	"arm" },
		{ "armv8l",	"arm" },
		{ "ppc64le",	"ppc64" },
	};
	unsigned int i;

	if (uname(host))
		die("can't tell the host's architecture: %s", strerror(errno));

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(host->machine, names[i].kernel))
			return names[i].qemu;
	}
	return host->machine;
}

/**
 * emulator_find() - Find the emulator, or exit
 * @self:	the name we were called by: if it is an emulator's, that one
 *
 * Return: path, allocated
 */
static char *emulator_find(const char *self)
{
	char system[sizeof("qemu-system-") + sizeof(struct utsname)];
	const char *slash = strrchr(self, '/');
	const char *name = slash ? slash + 1 : self;
	const char *names[] = { NULL, system, "qemu-kvm", "kvm" };
	struct utsname host;
	unsigned int i;

	snprintf(system, sizeof(system), "qemu-system-%s", host_arch(&host));
	if (!strncmp(name, "qemu-", strlen("qemu-")))
		names[0] = name;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		char *path = names[i] ? program_find_all(names[i]) : NULL;

		if (path)
			return path;
	}
	die("no emulator found: tried %s, qemu-kvm and kvm in PATH and %s; install qemu, or use: qrap FD COMMAND [ARG...]",
	    names[0] ? names[0] : system, usual_folders);
}

static void run(const char *program, char **argv)
{
	execvp(program, argv);
	die("can't run %s: %s", program, strerror(errno));
}

/* emulate() - Be the emulator: qrap ARG... */
static void emulate(int argc, char **argv)
{
	char *emulator = emulator_find(argv[0]);
	const struct props *old;
	struct network net;
	struct cmdline c;
	int fd;

	cmdline_parse(&c, argc - 1, argv + 1);
	if (cmdline_probes(&c)) {
		argv[0] = emulator;
		run(emulator, argv);
	}

	fd = fd_pass_free(passt_connect());
	old = cmdline_take_network(&c);
	net = network_new(&c, old, fd);
	run(emulator, cmdline_argv(&c, emulator, &net));
}

/**
 * fd_parse() - Read the number that the socket shall have, or exit
 * @s:		begins with a digit
 *
 * Return: descriptor that the limits allow, none of the standard streams
 */
static int fd_parse(const char *s)
{
	struct rlimit lim;
	unsigned long fd;
	char *end;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur > INT_MAX)
		lim.rlim_cur = INT_MAX;

	errno = 0;
	fd = strtoul(s, &end, 10);
	if (errno || *end || fd <= STDERR_FILENO || fd >= lim.rlim_cur)
		die("FD: '%s' is not a descriptor number from %d to %lu", s,
		    STDERR_FILENO + 1, (unsigned long)lim.rlim_cur - 1);
	return (int)fd;
}

/* wrap() - Run a command with the socket: qrap FD COMMAND [ARG...] */
static void wrap(int argc, char **argv)
{
	int fd = fd_parse(argv[1]);

	if (argc < 3)
		die("COMMAND is missing after FD '%s': qrap FD COMMAND [ARG...]",
		    argv[1]);

	fd_pass(passt_connect(), fd);
	run(argv[2], argv + 2);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		die("nothing to run: qrap FD COMMAND [ARG...], or qrap ARG... with the emulator's arguments");

	if (argv[1][0] >= '0' && argv[1][0] <= '9')
		wrap(argc, argv);
	else
		emulate(argc, argv);
	return EXIT_FAILURE;
}

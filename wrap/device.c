// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/device.c - Take networking out of a command line, and choose the
 * device and the back-end that replace it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "wrap/wrap.h"

#define SLOTS		32	/* of a PCI bus */
#define DEVNO_MAX	0xffff	/* of a channel subsystem */

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
const struct props *cmdline_take_network(struct cmdline *c)
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
 * network_new() - What replaces the networking that was taken out
 * @c:		command line, without it
 * @old:	the device that is replaced
 * @fd:		inherited socket
 *
 * qemu makes devices given in JSON after all the others: among those, the new
 * one has to be, too, so that there is the bus that it goes to.
 */
struct network network_new(const struct cmdline *c,
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

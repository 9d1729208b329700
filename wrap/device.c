// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * wrap/device.c - Removes networking from a command line, and chooses the
 * device and the back-end that replace it. The new device gets the ID, the MAC
 * address and the bus address of the first device that was removed, so that
 * references to that device remain valid.
 */
/* syscalls: close fstat uname write */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "wrap/wrap.h"

#define SLOTS		32	/* slots of a PCI bus */
#define DEVNO_MAX	0xffff	/* highest device number of channel I/O */

/**
 * struct machine - A machine type with all its versions
 * @name:	name of the type, without "-VERSION"
 * @driver:	driver of its virtio network device
 * @bus:	PCI bus for devices to which the command line gives no bus;
 *		NULL: qemu chooses the bus
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

/* Machines for command lines that have no machine type, or one that is not in
 * machines[]. */
static const struct machine machine_any = { "", "virtio-net-pci", NULL };
static const struct machine machine_s390 = { "", "virtio-net-ccw", NULL };

static const struct machine *default_machine(void)
{
	struct utsname host;

	if (!uname(&host) && !strcmp(host.machine, "s390x"))
		return &machine_s390;
	return &machine_any;
}

static const struct machine *find_machine(const char *type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		size_t len = strlen(machines[i].name);

		if (!strncmp(type, machines[i].name, len) &&
		    (!type[len] || type[len] == '-'))
			return &machines[i];
	}
	return default_machine();
}

/* chosen_machine() - Return the machine type that the command line gives last,
 * or else the default */
static const struct machine *chosen_machine(const struct cmdline *c)
{
	const struct machine *m = default_machine();
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *type;

		if (arg->option != OPTION_MACHINE)
			continue;
		type = props_type(&arg->props, "type");
		if (*type)
			m = find_machine(type);
	}
	return m;
}

/* Drivers of network devices. A -device with one of them is a network device
 * even if it names no back-end. */
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
	const char *driver = props_type(props, "driver");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(models); i++) {
		if (!strcmp(driver, models[i]))
			return true;
	}
	return props_get(props, "netdev") != NULL;
}

static bool is_network_arg(const struct arg *arg)
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
	case OPTION_QUERY:
	case OPTION_TEXT:
		break;
	}
	return false;
}

/**
 * cmdline_remove_network() - Set @drop of all options for networking
 * @c:		command line
 *
 * Return: properties of the first -device that is a network device; if there is
 *	   none, of the first -nic, -net or -netdev with a MAC address; else no
 *	   properties
 */
const struct props *cmdline_remove_network(struct cmdline *c)
{
	static const struct props none;
	const struct props *device = NULL, *nic = NULL;
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		struct arg *arg = &c->args[i];

		if (!is_network_arg(arg))
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

/* is_pcie_port() - Whether a device is a PCIe port: a bus for a single
 * device */
static bool is_pcie_port(const struct props *props)
{
	const char *driver = props_type(props, "driver");

	return !strcmp(driver, "pcie-root-port") || !strcmp(driver, "ioh3420");
}

static bool bus_is_used(const struct cmdline *c, const char *bus)
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

static const char *find_free_pcie_port(const struct cmdline *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		const struct arg *arg = &c->args[i];
		const char *id = props_get(&arg->props, "id");

		if (arg->option == OPTION_DEVICE && is_pcie_port(&arg->props) &&
		    id && !bus_is_used(c, id))
			return id;
	}
	return NULL;
}

/* find_free_pci_slot() - Find the highest free slot of a PCI bus, or -1. qemu
 * gives the lowest slots to devices without an address. */
static int find_free_pci_slot(const struct cmdline *c, const char *bus)
{
	/* The host bridge is in slot 0, the built-in devices of q35 are in slot
	 * 31. */
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
		/* @addr is SLOT or SLOT.FUNCTION, in hexadecimal. */
		taken |= 1U << (strtoul(addr, NULL, 16) % SLOTS);
	}
	for (slot = SLOTS - 1; slot >= 0 && taken & 1U << slot; slot--)
		;
	return slot;
}

/* devno_is_used() - Whether a device on channel I/O has the device number
 * fe.0.@devno */
static bool devno_is_used(const struct cmdline *c, unsigned int devno)
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

/**
 * struct device - The new network device
 * @props:	properties, the driver first
 * @place:	buffer for the value of the property addr or devno, which is a
 *		free slot or a free device number
 */
struct device {
	struct props props;
	char place[sizeof("fe.0.ffff")];
};

static void device_copy_prop(struct device *d, const struct props *old,
			     const char *key)
{
	const char *value = props_get(old, key);

	if (value)
		props_add(&d->props, key, value);
}

/* device_place_pci() - Set the PCI address of the new device: that of the old
 * device if it has one, else a free one */
static void device_place_pci(struct device *d, const struct cmdline *c,
			     const struct machine *m, const struct props *old)
{
	const char *port;
	int slot;

	if (props_get(old, "addr")) {
		device_copy_prop(d, old, "bus");
		device_copy_prop(d, old, "addr");
		device_copy_prop(d, old, "multifunction");
		return;
	}
	if (!m->bus)
		return;

	port = find_free_pcie_port(c);
	slot = port ? 0 : find_free_pci_slot(c, m->bus);
	if (slot < 0)
		return;

	snprintf(d->place, sizeof(d->place), "0x%x", (unsigned int)slot);
	props_add(&d->props, "bus", port ? port : m->bus);
	props_add(&d->props, "addr", d->place);
}

/* device_place_ccw() - Set the device number of the new device on channel I/O:
 * that of the old device if it has one, else a free one */
static void device_place_ccw(struct device *d, const struct cmdline *c,
			     const struct props *old)
{
	unsigned int devno = DEVNO_MAX;

	if (props_get(old, "devno")) {
		device_copy_prop(d, old, "devno");
		return;
	}
	while (devno && devno_is_used(c, devno))
		devno--;
	snprintf(d->place, sizeof(d->place), "fe.0.%04x", devno & DEVNO_MAX);
	props_add(&d->props, "devno", d->place);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && !strcmp(s + len - end_len, end);
}

/* backend_id() - Return the ID of the back-end that the old device names, or
 * else "qrap" */
static const char *backend_id(const struct props *old)
{
	const char *id = props_get(old, "netdev");

	return id ? id : "qrap";
}

static void device_choose(struct device *d, const struct cmdline *c,
			  const struct props *old)
{
	const struct machine *m = chosen_machine(c);
	const char *driver = props_type(old, "driver");
	const char *mac = props_get(old, "macaddr");

	/* If the old device is a variant of virtio-net, keep its driver, which
	 * fits its bus. With '=' in it, it would be another property. */
	if (strncmp(driver, "virtio-net", strlen("virtio-net")) ||
	    strchr(driver, '='))
		driver = m->driver;

	d->props.n = 0;
	props_add(&d->props, "driver", driver);
	props_add(&d->props, "netdev", backend_id(old));
	device_copy_prop(d, old, "id");
	device_copy_prop(d, old, "mac");
	if (mac)
		props_add(&d->props, "mac", mac);
	device_copy_prop(d, old, "bootindex");

	if (ends_with(driver, "-ccw"))
		device_place_ccw(d, c, old);
	else if (!ends_with(driver, "-device"))
		device_place_pci(d, c, m, old);
}

/* write_escaped() - Write text, with @escape before each character that is in
 * @special */
static void write_escaped(FILE *t, const char *s, const char *special,
			  char escape)
{
	for (; *s; s++) {
		if (strchr(special, *s))
			fputc(escape, t);
		fputc(*s, t);
	}
}

static void write_list(FILE *t, const struct props *props)
{
	unsigned int i;

	for (i = 0; i < props->n; i++) {
		if (i)
			fprintf(t, ",%s=", props->p[i].key);
		write_escaped(t, props->p[i].value, ",", ',');
	}
}

/* write_json() - Write properties as a JSON object. bootindex is a number and
 * multifunction is a boolean. */
static void write_json(FILE *t, const struct props *props)
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
			write_escaped(t, value, "\"\\", '\\');
			fputc('"', t);
		}
	}
	fputc('}', t);
}

static bool has_json_device(const struct cmdline *c)
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
 * network_choose() - Choose the options that replace the removed networking
 * @c:		command line after cmdline_remove_network()
 * @old:	properties of the device that is replaced
 * @fd:		socket that the emulator inherits
 *
 * qemu creates devices that are given in JSON after all other devices. If the
 * command line has a device in JSON, the new device is given in JSON, too,
 * because its bus may be a device in JSON, which must exist before the new
 * device.
 *
 * Return: values of -netdev and -device, allocated
 */
struct network network_choose(const struct cmdline *c,
			      const struct props *old, int fd)
{
	struct network net = { NULL, NULL };
	struct device d;
	size_t size;
	FILE *t;

	t = not_null(open_memstream(&net.netdev, &size));
	fprintf(t, "socket,fd=%d,id=", fd);
	write_escaped(t, backend_id(old), ",", ',');
	fclose(t);
	not_null(net.netdev);

	device_choose(&d, c, old);
	t = not_null(open_memstream(&net.device, &size));
	if (has_json_device(c))
		write_json(t, &d.props);
	else
		write_list(t, &d.props);
	fclose(t);
	not_null(net.device);
	return net;
}

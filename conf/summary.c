// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * summary.c - Logs the network of the guest, and how to start a guest, when
 * passt starts.
 */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/summary.h"
#include "log.h"

#define USUAL_SOCKET	"/tmp/passt_"
#define PREFIX_STRLEN	(ADDR_STRLEN + sizeof("/128"))

/* print_item() - Log one line of the summary: a name, padded, and a value */
static void print_item(const char *what, const char *value)
{
	info("  %-11s %s", what, value);
}

/* print_dns() - Log the resolvers of one family, if there are any */
static void print_dns(const struct in6_addr dns[LEASE_DNS])
{
	char list[LEASE_DNS * (ADDR_STRLEN + 2)] = "", text[ADDR_STRLEN];
	unsigned int i;

	for (i = 0; i < LEASE_DNS && !addr_is_none(&dns[i]); i++) {
		size_t used = strlen(list);

		snprintf(list + used, sizeof(list) - used, "%s%s",
			 i ? ", " : "", addr_str(&dns[i], text));
	}
	if (i)
		print_item("DNS", list);
}

/* print_addrs() - Log the guest's addresses of a family, with their prefix
 * lengths */
static void print_addrs(const struct lease *l, enum ip_family f)
{
	char text[ADDR_STRLEN], prefix[PREFIX_STRLEN];
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(l, f, i, &a); i++) {
		snprintf(prefix, sizeof(prefix), "%s/%u",
			 addr_str(&a.addr, text), a.len);
		print_item("address", prefix);
	}
}

/* print_heading() - Log the name of a family, and the host's interface from
 * which its addresses come */
static void print_heading(const char *family, const char *ifname)
{
	if (*ifname)
		info("%s, as on %s:", family, ifname);
	else
		info("%s, no default route on the host:", family);
}

static void print_ipv4(const struct net *n)
{
	const struct lease *l = &n->lease;
	char text[ADDR_STRLEN];

	print_heading("IPv4", n->ifname[IP4]);
	print_addrs(l, IP4);
	print_item("router", addr_str(&l->router[IP4], text));
	if (l->dhcp_dns)
		print_dns(l->dns[IP4]);
}

/* print_router6() - Log our link-local address as the guest's router, and the
 * gateway's address if it is another one */
static void print_router6(const struct in6_addr *told,
			  const struct in6_addr *gw)
{
	char both[2 * ADDR_STRLEN + 2], text[2][ADDR_STRLEN];

	snprintf(both, sizeof(both), "%s, %s", addr_str(told, text[0]),
		 addr_str(gw, text[1]));
	print_item("router", addr_eq(told, gw) ? text[0] : both);
}

static void print_ipv6(const struct net *n)
{
	const struct lease *l = &n->lease;

	print_heading("IPv6", n->ifname[IP6]);
	print_addrs(l, IP6);
	print_router6(&l->router[IP6], &n->gateway[IP6]);
	if (l->dhcp_dns)
		print_dns(l->dns[IP6]);
}

/* print_common() - Log the values of a lease that do not belong to one
 * family */
static void print_common(const struct lease *l)
{
	char text[MAC_STRLEN], mtu[16];

	info("Guest:");
	print_item("our MAC", mac_str(l->mac, text));
	snprintf(mtu, sizeof(mtu), "%u", l->mtu);
	print_item("MTU", l->mtu ? mtu : "its own choice");
	if (l->search[0] && l->dhcp_search)
		print_item("search", l->search);
	if (l->hostname[0])
		print_item("host name", l->hostname);
	if (l->fqdn[0])
		print_item("FQDN", l->fqdn);
}

/**
 * qemu_escape() - Copy a value for an option of qemu, and double its commas
 * @path:	value
 * @buf:	filled; has space for twice as many bytes as @path
 */
static void qemu_escape(const char *path, char *buf)
{
	for (; *path; path++) {
		if (*path == ',')
			*buf++ = ',';
		*buf++ = *path;
	}
	*buf = '\0';
}

/* print_qemu() - Log command lines of qemu that connect a guest to the socket
 * at @path */
static void print_qemu(const char *path)
{
	char escaped[2 * sizeof(((struct conf *)0)->socket_path)];
	bool usual = !strncmp(path, USUAL_SOCKET, strlen(USUAL_SOCKET));

	qemu_escape(path, escaped);
	info("Now start a guest, with qemu 7.2 or later:");
	info("  qemu-system-x86_64 ... -netdev stream,id=s,server=off,"
	     "addr.type=unix,addr.path=%s -device virtio-net-pci,netdev=s",
	     escaped);
	info("or with any, through qrap:");
	info("  %s%s%sqrap 5 qemu-system-x86_64 ... -netdev socket,fd=5,id=n "
	     "-device virtio-net-pci,netdev=n", usual ? "" : "PASST_SOCKET=",
	     usual ? "" : path, usual ? "" : " ");
}

/**
 * net_print_notes() - Log errors of host_read(), and notes of derive()
 * @n:		network of the guest, with notes
 * @h:		what host_read() has found, with its errors
 */
void net_print_notes(const struct net *n, const struct host *h)
{
	char text[ADDR_STRLEN];
	unsigned int i;

	if (h->nl_error)
		warn("the kernel does not tell its addresses and routes: %s",
		     strerror(-h->nl_error));
	if (h->resolv_error)
		info("No resolvers known: %s: %s", RESOLV_CONF,
		     strerror(-h->resolv_error));
	for (i = 0; i < n->nnotes; i++) {
		switch (n->note[i].type) {
		case NOTE_NO_IPV4:
			info("No IPv4: the kernel has none");
			break;
		case NOTE_NO_IPV6:
			info("No IPv6: the kernel has none");
			break;
		case NOTE_RESOLVER:
			warn("resolver %s is out of the guest's reach: give "
			     "--map-host-loopback, --dns-forward or --dns",
			     addr_str(&n->note[i].addr, text));
			break;
		}
	}
}

/**
 * net_print() - Log the network of the guest, and how to start a guest
 * @n:		network
 * @socket_path: path of the socket that a guest connects to; empty: a guest is
 *		connected already
 */
void net_print(const struct net *n, const char *socket_path)
{
	print_common(&n->lease);
	if (n->use[IP4])
		print_ipv4(n);
	if (n->use[IP6])
		print_ipv6(n);
	if (*socket_path)
		print_qemu(socket_path);
}

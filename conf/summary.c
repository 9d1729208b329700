// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * summary.c - Logs the network of the guest, and how to start a guest, when
 * passt starts; and what has changed in the network of the guest, because the
 * host's network has changed.
 */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/summary.h"
#include "log.h"

#define USUAL_SOCKET	"/tmp/passt_"
#define PREFIX_STRLEN	(ADDR_STRLEN + sizeof("/128"))
#define LIST_STRLEN	(LEASE_DNS * (PREFIX_STRLEN + sizeof(", ")))

static const char *const family_name[FAMILIES] = {
	[IP4] = "IPv4", [IP6] = "IPv6",
};

/* append_item() - Append a text to a list, with a comma before it unless the
 * list is empty */
static void append_item(char list[LIST_STRLEN], const char *text)
{
	size_t used = strlen(list);

	snprintf(list + used, LIST_STRLEN - used, "%s%s", used ? ", " : "",
		 text);
}

/* prefix_str() - Format an address of the guest with its prefix length */
static const char *prefix_str(const struct lease_addr *a,
			      char text[PREFIX_STRLEN])
{
	char addr[ADDR_STRLEN];

	snprintf(text, PREFIX_STRLEN, "%s/%u", addr_str(&a->addr, addr),
		 a->len);
	return text;
}

/* list_addrs() - List the guest's addresses of one family */
static const char *list_addrs(const struct lease *l, enum ip_family f,
			      char list[LIST_STRLEN])
{
	char text[PREFIX_STRLEN];
	struct lease_addr a;
	unsigned int i;

	*list = '\0';
	for (i = 0; lease_addr(l, f, i, &a); i++)
		append_item(list, prefix_str(&a, text));
	return list;
}

/* list_dns() - List the resolvers of one family */
static const char *list_dns(const struct in6_addr dns[LEASE_DNS],
			    char list[LIST_STRLEN])
{
	char text[ADDR_STRLEN];
	unsigned int i;

	*list = '\0';
	for (i = 0; i < LEASE_DNS && !addr_is_none(&dns[i]); i++)
		append_item(list, addr_str(&dns[i], text));
	return list;
}

/* print_item() - Log one line of the summary: a name, padded, and a value */
static void print_item(int level, const char *what, const char *value)
{
	log_msg(level, "  %-11s %s", what, value);
}

/* print_dns() - Log the resolvers of one family, if there are any */
static void print_dns(int level, const struct in6_addr dns[LEASE_DNS])
{
	char list[LIST_STRLEN];

	if (*list_dns(dns, list))
		print_item(level, "DNS", list);
}

/* print_addrs() - Log the guest's addresses of a family, with their prefix
 * lengths */
static void print_addrs(int level, const struct lease *l, enum ip_family f)
{
	char text[PREFIX_STRLEN];
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(l, f, i, &a); i++)
		print_item(level, "address", prefix_str(&a, text));
}

/* print_heading() - Log the name of a family, and the host's interface from
 * which its addresses come */
static void print_heading(int level, const char *family, const char *ifname)
{
	if (*ifname)
		log_msg(level, "%s, as on %s:", family, ifname);
	else
		log_msg(level, "%s, no default route on the host:", family);
}

static void print_ipv4(int level, const struct net *n)
{
	const struct lease *l = &n->lease;
	char text[ADDR_STRLEN];

	print_heading(level, "IPv4", n->ifname[IP4]);
	print_addrs(level, l, IP4);
	print_item(level, "router", addr_str(&l->router[IP4], text));
	if (l->dhcp_dns)
		print_dns(level, l->dns[IP4]);
}

/* print_router6() - Log our link-local address as the guest's router, and the
 * gateway's address if it is another one */
static void print_router6(int level, const struct in6_addr *told,
			  const struct in6_addr *gw)
{
	char both[2 * ADDR_STRLEN + 2], text[2][ADDR_STRLEN];

	snprintf(both, sizeof(both), "%s, %s", addr_str(told, text[0]),
		 addr_str(gw, text[1]));
	print_item(level, "router", addr_eq(told, gw) ? text[0] : both);
}

static void print_ipv6(int level, const struct net *n)
{
	const struct lease *l = &n->lease;

	print_heading(level, "IPv6", n->ifname[IP6]);
	print_addrs(level, l, IP6);
	print_router6(level, &l->router[IP6], &n->gateway[IP6]);
	if (l->dhcp_dns)
		print_dns(level, l->dns[IP6]);
}

/* print_common() - Log the values of a lease that do not belong to one
 * family */
static void print_common(int level, const struct lease *l)
{
	char text[MAC_STRLEN], mtu[16];

	log_msg(level, "Guest:");
	print_item(level, "our MAC", mac_str(l->mac, text));
	snprintf(mtu, sizeof(mtu), "%u", l->mtu);
	print_item(level, "MTU", l->mtu ? mtu : "its own choice");
	if (l->search[0] && l->dhcp_search)
		print_item(level, "search", l->search);
	if (l->hostname[0])
		print_item(level, "host name", l->hostname);
	if (l->fqdn[0])
		print_item(level, "FQDN", l->fqdn);
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

/* print_qemu_stream() - Log command lines of qemu that connect a guest to the
 * stream socket at @path */
static void print_qemu_stream(const char *path, const char *escaped)
{
	bool usual = !strncmp(path, USUAL_SOCKET, strlen(USUAL_SOCKET));

	info("Now start a guest, with qemu 7.2 or later:");
	info("  qemu-system-x86_64 ... -netdev stream,id=s,server=off,"
	     "addr.type=unix,addr.path=%s -device virtio-net-pci,netdev=s",
	     escaped);
	info("or with any, through qrap:");
	info("  %s%s%sqrap 5 qemu-system-x86_64 ... -netdev socket,fd=5,id=n "
	     "-device virtio-net-pci,netdev=n", usual ? "" : "PASST_SOCKET=",
	     usual ? "" : path, usual ? "" : " ");
}

/* print_qemu_vhost() - Log a command line of qemu that connects a guest over
 * vhost-user */
static void print_qemu_vhost(const char *escaped)
{
	info("Now start a guest, with the size of its memory twice:");
	info("  qemu-system-x86_64 ... -m 1024 "
	     "-object memory-backend-memfd,id=mem,size=1024M,share=on "
	     "-numa node,memdev=mem -chardev socket,id=c,path=%s "
	     "-netdev vhost-user,id=n,chardev=c "
	     "-device virtio-net-pci,netdev=n,rx_queue_size=1024", escaped);
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
 * net_print() - Log the network of the guest
 * @level:	level of the log lines
 */
void net_print(int level, const struct net *n)
{
	print_common(level, &n->lease);
	if (n->use[IP4])
		print_ipv4(level, n);
	if (n->use[IP6])
		print_ipv6(level, n);
}

/**
 * net_print_qemu() - Log how to start a guest
 * @path:	path of the socket that the guest connects to
 * @vhost_user:	the socket is for a vhost-user front-end
 */
void net_print_qemu(const char *path, bool vhost_user)
{
	char escaped[2 * sizeof(((struct conf *)0)->socket_path)];

	qemu_escape(path, escaped);
	if (vhost_user)
		print_qemu_vhost(escaped);
	else
		print_qemu_stream(path, escaped);
}

/* print_change() - Log a line, unless the value is the same as before */
static void print_change(const char *family, const char *what,
			 const char *before, const char *after)
{
	if (strcmp(before, after))
		info("The host has changed: %s%s%s %s -> %s", family,
		     *family ? " " : "", what, *before ? before : "none",
		     *after ? after : "none");
}

static void print_family(const struct net *old, const struct net *new,
			 enum ip_family f)
{
	const struct lease *a = &old->lease, *b = &new->lease;
	char x[LIST_STRLEN], y[LIST_STRLEN];
	const char *name = family_name[f];

	print_change(name, "interface", old->ifname[f], new->ifname[f]);
	print_change(name, "address", list_addrs(a, f, x), list_addrs(b, f, y));
	print_change(name, "gateway", addr_str(&old->gateway[f], x),
		     addr_str(&new->gateway[f], y));
	print_change(name, "DNS", list_dns(a->dns[f], x),
		     list_dns(b->dns[f], y));
}

/**
 * net_print_changes() - Log the values that differ in the network of the guest
 * @old, @new:	network before and after a change of the host
 */
void net_print_changes(const struct net *old, const struct net *new)
{
	enum ip_family f;

	for (f = IP4; f < FAMILIES; f++) {
		if (old->use[f] || new->use[f])
			print_family(old, new, f);
	}
	print_change("", "search", old->lease.search, new->lease.search);
}

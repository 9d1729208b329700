// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * derive.c - Which addresses, router and resolvers the guest gets on several
 * hosts and with several options, and which messages the user gets. Fake
 * functions describe the host in place of the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "host/resolv.h"

static char resolv_path[] = "/tmp/passt-resolv-XXXXXX";

/* host/host.c calls these functions, which describe the host in @fake */
#define nl_open			fake_open
#define paths_open_resolv	fake_open_resolv
#define nl_default_if		fake_default_if
#define nl_gateway		fake_gateway
#define nl_address		fake_address
#define sock_ifindex		fake_nametoindex
#define sock_ifname		fake_indextoname
#include "../../host/host.c"
#include "../../conf/derive.c"
#include "../../conf/summary.c"
#include "unit.h"

static struct fake {
	unsigned int ifindex;
	const char *addr4, *gw4, *addr6, *gw6;
	unsigned int len4, len6, other;
} fake;

static struct conf c;
static struct host host;
static struct net n;
static char said[4096];

void log_msg(int prio, const char *fmt, ...)
{
	size_t len = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + len, sizeof(said) - len - 1, fmt, ap);
	va_end(ap);
	strcat(said, "\n");
}

bool log_enabled(int prio)
{
	return true;
}

void log_set_level(int prio)
{
}

void log_one_line(char *s)
{
}

int fake_open_resolv(void)
{
	int fd = open(resolv_path, O_RDONLY);

	return fd < 0 ? -errno : fd;
}

int fake_open(void)
{
	return -EPERM;
}

unsigned int fake_default_if(struct nl *nl, int family)
{
	if (family == AF_INET ? fake.gw4 : fake.gw6)
		return fake.ifindex;
	return (family == AF_INET ? fake.addr4 : fake.addr6) ? fake.ifindex : 0;
}

bool fake_gateway(struct nl *nl, int family, unsigned int ifindex,
		  struct in6_addr *gw, struct in6_addr *src)
{
	const char *s = family == AF_INET ? fake.gw4 : fake.gw6;

	return ifindex == fake.ifindex && s && addr_parse(s, gw);
}

/* If @fake.other is not 0, the interface with this index has an address of each
 * family. */
unsigned int fake_address(struct nl *nl, int family, unsigned int ifindex,
			  const struct in6_addr *prefer, struct in6_addr *addr,
			  unsigned int *len)
{
	const char *s = family == AF_INET ? fake.addr4 : fake.addr6;

	if (!ifindex && fake.other) {
		*len = family == AF_INET ? 24 : 64;
		addr_parse(family == AF_INET ? "198.51.100.9" :
			   "2001:db8:9::9", addr);
		return fake.other;
	}
	if (ifindex != fake.ifindex || !s)
		return 0;
	*len = family == AF_INET ? fake.len4 : fake.len6;
	return addr_parse(s, addr) ? ifindex : 0;
}

uint32_t sock_ifindex(const char *name)
{
	errno = ENODEV;
	return !strcmp(name, "lo") ? 7 : 0;
}

bool sock_ifname(uint32_t ifindex, char *name)
{
	sprintf(name, "eth%u", ifindex);
	return true;
}

/* complete() - Derive the network @n from the host and from the options in
 * @line; @said is set to the messages */
static void complete(const char *line)
{
	static char copy[1024];
	char *argv[32] = { "passt" }, *word;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	if (conf_parse(&c, argc, argv) != CONF_GO || conf_check(&c) != CONF_GO)
		fail("options", "%s", line);
	said[0] = '\0';
	host_read(&host, nl_open(), (const char *[]){ conf_ifname(&c, IP4),
					   conf_ifname(&c, IP6) });
	derive(&c, &host, &n);
	net_print_notes(&n, &host);
	check("there is a start", n.use[IP4] || n.use[IP6]);
}

static void resolv(const char *text)
{
	FILE *f = fopen(resolv_path, "w");

	fputs(text, f);
	fclose(f);
}

static bool is(const struct in6_addr *a, const char *s)
{
	struct in6_addr b = ADDR_NONE;

	return (!*s || addr_parse(s, &b)) && addr_eq(a, &b);
}

/* offline() - Whether the guest has only the address that it gets on an offline
 * host */
static bool offline(void)
{
	return is(&n.lease.addr[IP4], OFFLINE_ADDR4) &&
	       is(&n.lease.addr[IP6], "");
}

/* dns_pair() - Find the pair of addresses for DNS ports in a family; an empty
 * pair if there is none */
static const struct nat_pair *dns_pair(enum ip_family f)
{
	static const struct nat_pair none;
	unsigned int i;

	for (i = 0; i < n.npairs; i++) {
		if (n.nat[i].ports == NAT_DNS_PORTS &&
		    addr_ip(&n.nat[i].visible) == f)
			return &n.nat[i];
	}
	return &none;
}

static const struct in6_addr *dns_visible(enum ip_family f)
{
	return &dns_pair(f)->visible;
}

static const struct in6_addr *dns_real(enum ip_family f)
{
	return &dns_pair(f)->real;
}

static const struct fake usual = {
	.ifindex = 3,
	.addr4 = "192.0.2.2", .len4 = 24, .gw4 = "192.0.2.1",
	.addr6 = "2001:db8::2", .len6 = 56, .gw6 = "fe80::7",
};

static void test_usual(void)
{
	const struct lease *l = &n.lease;

	fake = usual;
	resolv("nameserver 203.0.113.53\nnameserver 2001:db8::53\n"
	       "search example.org\n");
	complete("");
	check("the guest gets the host's IPv4 address and length",
	      is(&l->addr[IP4], "192.0.2.2") && l->len[IP4] == 24);
	check("and its router", is(&l->router[IP4], "192.0.2.1") &&
	      is(&n.gateway[IP4], "192.0.2.1"));
	check("and its IPv6 address, the length kept",
	      is(&l->addr[IP6], "2001:db8::2") && l->len[IP6] == 56);
	check("and its router", is(&l->router[IP6], "fe80::7") &&
	      is(&n.gateway[IP6], "fe80::7"));
	check("and its resolvers", is(&l->dns[IP4][0], "203.0.113.53") &&
	      is(&l->dns[IP4][1], "") && is(&l->dns[IP6][0], "2001:db8::53"));
	check_str("and its search domains", l->search, "example.org");
	check("the host is not offline", !offline());
	check("link-local addresses are on the same interface",
	      n.scope == 3 && !strcmp(n.ifname[IP4], "eth3") &&
	      !strcmp(n.ifname[IP6], "eth3"));
	check("the DNS ports lead nowhere else",
	      is(dns_visible(IP4), "") && is(dns_visible(IP6), ""));
}

static void test_offline(void)
{
	fake = (struct fake){ .ifindex = 0 };
	resolv("");
	complete("");
	check("offline, IPv4 is link-local",
	      is(&n.lease.addr[IP4], "169.254.2.1") && n.lease.len[IP4] == 16 &&
	      is(&n.lease.router[IP4], "169.254.2.2"));
	check("IPv6 has no address", is(&n.lease.addr[IP6], "") &&
	      is(&n.lease.router[IP6], "fe80::1") && is(&n.gateway[IP6], "fe80::1"));
	check("that is known", offline() && !n.scope);

	complete("-a 10.1.2.3");
	check("unless an address is given", !offline() &&
	      is(&n.lease.addr[IP4], "10.1.2.3") &&
	      is(&n.lease.router[IP4], "169.254.2.2"));
}

/* Given a host with default routes on one interface and addresses on another,
 * then the guest gets these addresses. */
static void test_elsewhere(void)
{
	fake = (struct fake){ .ifindex = 3, .other = 1, .gw4 = "192.0.2.1",
			      .gw6 = "fe80::7" };
	resolv("");
	complete("");
	check("a routed host has its addresses on lo",
	      is(&n.lease.addr[IP4], "198.51.100.9") &&
	      is(&n.lease.addr[IP6], "2001:db8:9::9") &&
	      is(&n.gateway[IP6], "fe80::7") && n.scope == 3);
	complete("--outbound-if6 lo");
	check("but not if another interface was named",
	      is(&n.lease.addr[IP6], ""));

	fake = (struct fake){ .ifindex = 0, .other = 4 };
	complete("");
	check("without a default route, IPv6 has an address of some interface",
	      is(&n.lease.addr[IP6], "2001:db8:9::9") && n.scope == 4 &&
	      !strcmp(n.ifname[IP6], "eth4"));
	check("and IPv4 a link-local one",
	      is(&n.lease.addr[IP4], "169.254.2.1"));
	fake.other = 1;
	complete("");
	check("lo is not the interface of link-local peers",
	      is(&n.lease.addr[IP6], "2001:db8:9::9") && !n.scope);
}

static void test_given(void)
{
	fake = usual;
	complete("-a 10.1.2.3 -a fd00::3 -g 10.9.9.9 -g 2001:db8::9");
	check("a given address has its length by class",
	      is(&n.lease.addr[IP4], "10.1.2.3") && n.lease.len[IP4] == 8);
	check("or 64",
	      is(&n.lease.addr[IP6], "fd00::3") && n.lease.len[IP6] == 64);
	check("a gateway is given", is(&n.lease.router[IP4], "10.9.9.9") &&
	      is(&n.gateway[IP4], "10.9.9.9"));
	check("one that is not link-local advertises as fe80::1",
	      is(&n.gateway[IP6], "2001:db8::9") && is(&n.lease.router[IP6], "fe80::1"));
	complete("-a 172.16.0.1");
	check_eq("class B", n.lease.len[IP4], 16);
	complete("-a 192.168.0.1");
	check_eq("class C", n.lease.len[IP4], 24);
	complete("-a 192.168.0.1/27");
	check_eq("or as given", n.lease.len[IP4], 27);
	complete("-a 192.168.0.1 -n 255.255.0.0");
	check_eq("or as --netmask says", n.lease.len[IP4], 16);
	complete("-n 30");
	check("which goes for the host's address, too",
	      is(&n.lease.addr[IP4], "192.0.2.2") && n.lease.len[IP4] == 30);

	complete("-i lo");
	check("another interface without an address: offline",
	      is(&n.lease.addr[IP4], "169.254.2.1") && n.scope == 7);
	complete("--outbound-if4 lo");
	check("the interface of outbound sockets is a template",
	      !strcmp(n.ifname[IP4], "eth7") &&
	      !strcmp(n.ifname[IP6], "eth3"));
}

static void test_one_family(void)
{
	fake = usual;
	resolv("nameserver 203.0.113.53\nnameserver 2001:db8::53\n");
	complete("-4 -a fd00::1 -D 2001:db8::1");
	check("-4: nothing of IPv6 is handed out", is(&n.lease.addr[IP6], "") &&
	      is(&n.lease.dns[IP6][0], "") && is(&n.gateway[IP6], "") &&
	      !*n.ifname[IP6]);
	complete("-4");
	check("not of resolv.conf either", is(&n.lease.dns[IP6][0], "") &&
	      is(&n.lease.dns[IP4][0], "203.0.113.53"));
	complete("-6");
	check("-6: nothing of IPv4", is(&n.lease.addr[IP4], "") &&
	      is(&n.lease.dns[IP4][0], "") && is(&n.lease.router[IP4], "") &&
	      is(&n.lease.addr[IP6], "2001:db8::2"));
}

static void test_loopback_resolver(void)
{
	fake = usual;
	resolv("nameserver 127.0.0.53\nnameserver ::1\n"
	       "nameserver 127.0.0.1\nnameserver 203.0.113.53\n");
	complete("");
	check("a resolver on the host is reached by the gateway's address",
	      is(&n.lease.dns[IP4][0], "192.0.2.1") &&
	      is(&n.lease.dns[IP6][0], "fe80::7"));
	check("whose DNS ports lead to it", is(dns_visible(IP4), "192.0.2.1") &&
	      is(dns_real(IP4), "127.0.0.53") && is(dns_visible(IP6), "fe80::7") &&
	      is(dns_real(IP6), "::1"));
	check("once, and then come the others",
	      is(&n.lease.dns[IP4][1], "203.0.113.53") &&
	      is(&n.lease.dns[IP4][2], ""));

	complete("--map-host-loopback 192.0.2.9");
	check("or by the address that leads to the host",
	      is(&n.lease.dns[IP4][0], "192.0.2.9") &&
	      is(dns_visible(IP4), "192.0.2.9"));
	complete("--dns-forward 192.0.2.8 --no-map-gw");
	check("or by that of --dns-forward",
	      is(&n.lease.dns[IP4][0], "192.0.2.8") &&
	      is(dns_visible(IP4), "192.0.2.8") && is(dns_real(IP4), "127.0.0.53"));

	complete("--no-map-gw");
	check("or not at all", is(&n.lease.dns[IP4][0], "203.0.113.53") &&
	      is(&n.lease.dns[IP6][0], "") && is(dns_visible(IP4), ""));
	check("and the user hears of it", strstr(said, "resolver 127.0.0.53 "
						 "is out of the guest's"));
	complete("--map-host-loopback none");
	check("likewise without any such address", is(dns_visible(IP4), ""));
}

static void test_gateway_resolver(void)
{
	fake = usual;
	resolv("nameserver 192.0.2.1\n");
	complete("");
	check("a resolver that is the gateway, as at home, is handed out",
	      is(&n.lease.dns[IP4][0], "192.0.2.1"));
	check("and its DNS ports lead there, not to the host's loopback",
	      is(dns_visible(IP4), "192.0.2.1") && is(dns_real(IP4), "192.0.2.1"));
	complete("--no-map-gw");
	check("which is needless if the gateway is only itself",
	      is(&n.lease.dns[IP4][0], "192.0.2.1") && is(dns_visible(IP4), ""));
}

static void test_dns_options(void)
{
	fake = usual;
	resolv("nameserver 127.0.0.53\nnameserver 203.0.113.53\n"
	       "search example.org\n");
	complete("-D 198.51.100.1 -S none");
	check("given resolvers take the place of the host's",
	      is(&n.lease.dns[IP4][0], "198.51.100.1") &&
	      is(&n.lease.dns[IP4][1], "") && !n.lease.search[0]);
	complete("-D none");
	check("none is none", is(&n.lease.dns[IP4][0], ""));

	complete("-D none --dns-forward 192.0.2.8 --dns-forward fd00::8");
	check("--dns-forward goes to the first resolver of its family",
	      is(dns_real(IP4), "127.0.0.53"));
	check("or of any", is(dns_real(IP6), "127.0.0.53"));
	complete("--dns-forward 192.0.2.8 --dns-host 203.0.113.1");
	check("or to that of --dns-host", is(dns_real(IP4), "203.0.113.1"));
	check("alone", is(&n.forward[IP4][0], "203.0.113.1") &&
		       is(&n.forward[IP4][1], ""));
	resolv("nameserver 127.0.0.53\nnameserver 2001:db8::53\n"
	       "nameserver 203.0.113.53\n");
	complete("--dns-forward 192.0.2.8 --dns-forward fd00::8");
	check("it leads to all resolvers, those of its family first",
	      is(&n.forward[IP4][0], "127.0.0.53") &&
	      is(&n.forward[IP4][1], "203.0.113.53") &&
	      is(&n.forward[IP4][2], "2001:db8::53") &&
	      is(&n.forward[IP4][3], "") &&
	      is(&n.forward[IP6][0], "2001:db8::53") &&
	      is(&n.forward[IP6][1], "127.0.0.53") &&
	      is(dns_real(IP6), "2001:db8::53"));
	complete("--dns-forward 192.0.2.8 --dns-host 203.0.113.1 "
		 "--dns-host 203.0.113.2");
	check("or to several of --dns-host",
	      is(&n.forward[IP4][0], "203.0.113.1") &&
	      is(&n.forward[IP4][1], "203.0.113.2"));
	complete("");
	check("without it, the loopback resolver gets the gateway's DNS ports",
	      is(dns_visible(IP4), "192.0.2.1") &&
	      is(&n.forward[IP4][0], "127.0.0.53") &&
	      is(&n.forward[IP4][1], ""));

	unlink(resolv_path);
	complete("");
	check("no resolv.conf, no resolver", is(&n.lease.dns[IP4][0], ""));
	check("and the user hears of it", strstr(said, "No resolvers known"));
}

static void test_resolvers_of_one_family(void)
{
	fake = usual;
	resolv("nameserver 203.0.113.53\nnameserver 2001:db8::53\n");
	complete("-D 198.51.100.1");
	check("given resolvers replace those of their own family only",
	      is(&n.lease.dns[IP4][0], "198.51.100.1") &&
	      is(&n.lease.dns[IP4][1], "") &&
	      is(&n.lease.dns[IP6][0], "2001:db8::53"));
	complete("-4 -D 2001:db8:7::53");
	check("so a guest without that family keeps the host's",
	      is(&n.lease.dns[IP4][0], "203.0.113.53") &&
	      is(&n.lease.dns[IP6][0], ""));
	complete("-D 198.51.100.1 -D none");
	check("none is for both families, and for what was before it",
	      is(&n.lease.dns[IP4][0], "") && is(&n.lease.dns[IP6][0], ""));
	complete("-D none -D 2001:db8:7::53");
	check("which is taken back by a resolver after it",
	      is(&n.lease.dns[IP4][0], "203.0.113.53") &&
	      is(&n.lease.dns[IP6][0], "2001:db8:7::53"));
}

static void test_many_resolvers(void)
{
	char text[1024] = "";
	int i;

	for (i = 1; i <= 12; i++)
		sprintf(text + strlen(text), "nameserver 203.0.113.%d\n", i);
	fake = usual;
	resolv(text);
	complete("");
	check("of many resolvers, eight",
	      is(&n.lease.dns[IP4][7], "203.0.113.8"));
}

/* Given the path of passt's socket, then the user is told how to start qemu. */
static void test_qemu(void)
{
	said[0] = '\0';
	net_print_qemu("/tmp/a,b.socket", false);
	check_str("how to start a guest", said,
		  "Now start a guest, with qemu 7.2 or later:\n"
		  "  qemu-system-x86_64 ... -netdev stream,id=s,server=off,"
		  "addr.type=unix,addr.path=/tmp/a,,b.socket "
		  "-device virtio-net-pci,netdev=s\n"
		  "or with any, through qrap:\n"
		  "  PASST_SOCKET=/tmp/a,b.socket qrap 5 "
		  "qemu-system-x86_64 ... -netdev socket,fd=5,id=n "
		  "-device virtio-net-pci,netdev=n\n");
	said[0] = '\0';
	net_print_qemu("/tmp/passt_3.socket", false);
	check("qrap finds the usual sockets by itself",
	      strstr(said, "\n  qrap 5 ") && !strstr(said, "PASST_SOCKET"));
	said[0] = '\0';
	net_print_qemu("/tmp/a,b.socket", true);
	check_str("how to start a guest over vhost-user", said,
		  "Now start a guest, with the size of its memory twice:\n"
		  "  qemu-system-x86_64 ... -m 1024 "
		  "-object memory-backend-memfd,id=mem,size=1024M,share=on "
		  "-numa node,memdev=mem "
		  "-chardev socket,id=c,path=/tmp/a,,b.socket "
		  "-netdev vhost-user,id=n,chardev=c "
		  "-device virtio-net-pci,netdev=n,rx_queue_size=1024\n");
}

static void test_summary(void)
{
	fake = usual;
	resolv("nameserver 203.0.113.53\nnameserver 203.0.113.54\n"
	       "search example.org\n");
	complete("-H vm");
	said[0] = '\0';
	net_print(LOG_INFO, &n);
	check_str("what the user is told", said,
		  "Guest:\n"
		  "  our MAC     9a:55:9a:55:9a:55\n"
		  "  MTU         65520\n"
		  "  search      example.org\n"
		  "  host name   vm\n"
		  "IPv4, as on eth3:\n"
		  "  address     192.0.2.2/24\n"
		  "  router      192.0.2.1\n"
		  "  DNS         203.0.113.53, 203.0.113.54\n"
		  "IPv6, as on eth3:\n"
		  "  address     2001:db8::2/56\n"
		  "  router      fe80::7\n");

	complete("-g 2001:db8::1");
	said[0] = '\0';
	net_print(LOG_INFO, &n);
	check("a router that is not link-local is shown with its other address",
	      strstr(said, "\n  router      fe80::1, 2001:db8::1\n"));

	fake = (struct fake){ .ifindex = 0 };
	complete("-6 -m 0");
	said[0] = '\0';
	net_print(LOG_INFO, &n);
	check_str("offline, with an inherited socket", said,
		  "Guest:\n"
		  "  our MAC     9a:55:9a:55:9a:55\n"
		  "  MTU         its own choice\n"
		  "  search      example.org\n"
		  "IPv6, no default route on the host:\n"
		  "  router      fe80::1\n");
}

/* Given a host that loses its addresses and its resolv.conf, when host_read()
 * is called again, then it keeps nothing from its first call, and logs
 * nothing. */
static void test_read_again(void)
{
	static const char *const by_route[FAMILIES] = { "", "" };

	fake = usual;
	resolv("nameserver 203.0.113.53\nsearch example.org\n");
	said[0] = '\0';
	host_read(&host, nl_open(), by_route);
	check("what the host has is read", host.family[IP6].exists &&
	      is(&host.family[IP4].addr, "192.0.2.2") &&
	      is(&host.family[IP6].gateway, "fe80::7") &&
	      host.resolv.n == 1 && !host.resolv_error);
	fake = (struct fake){ .ifindex = 0 };
	unlink(resolv_path);
	host_read(&host, nl_open(), by_route);
	check("and read again, when it is gone",
	      is(&host.family[IP4].addr, "") && !host.family[IP4].ifindex &&
	      is(&host.family[IP6].gateway, "") && !*host.family[IP4].ifname &&
	      !host.resolv.n && !*host.resolv.search);
	check_eq("errors are values", host.resolv_error, -ENOENT);
	check_eq("of each source", host.nl_error, -EPERM);
	check_str("nothing is said", said, "");
	fake = usual;
	host_read(&host, nl_open(), by_route);
	check("and when it is back", is(&host.family[IP4].addr, "192.0.2.2"));
}

int main(void)
{
	close(mkstemp(resolv_path));
	test_usual();
	test_offline();
	test_elsewhere();
	test_given();
	test_one_family();
	test_loopback_resolver();
	test_gateway_resolver();
	test_dns_options();
	test_resolvers_of_one_family();
	test_many_resolvers();
	test_summary();
	test_qemu();
	test_read_again();
	unlink(resolv_path);
	return unit_end();
}

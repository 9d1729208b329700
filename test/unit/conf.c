// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * conf.c - The command line: what each option sets, which values are refused
 * with which message, and what --help prints.
 */
#include <stdlib.h>
#include <unistd.h>

#include "host/process.h"

/* Stand-ins for the identity of the process: its effective user ID, whether it
 * can become root again, and whether it is root only in a user namespace. */
static uid_t starter = 1000;
static bool root_too, namespace;
#define geteuid()		starter
#define process_is_root()	(!starter || root_too)
#define process_in_namespace()	namespace

#include "../../conf/options.c"
#include "../../conf/values.c"
#include "../../conf/conf.c"
#include "unit.h"

#define WORDS	32

static struct conf c;

/* What the last command line made the program print. */
static char said[16384];

/**
 * capture() - Redirect a stream to a file; or restore the stream, and read the
 *		file into @said
 * @stream:	stdout or stderr
 * @saved:	-1: redirect the stream; else: restore it, from the copy that
 *		the call with -1 has returned
 *
 * Return: a copy of the stream's descriptor if @saved is -1, else -1
 */
static int capture(FILE *stream, int saved)
{
	static FILE *file;
	size_t n;

	fflush(stream);
	if (saved < 0) {
		saved = dup(fileno(stream));
		file = tmpfile();
		dup2(fileno(file), fileno(stream));
		return saved;
	}
	dup2(saved, fileno(stream));
	close(saved);
	rewind(file);
	n = fread(said, 1, sizeof(said) - 1, file);
	said[n] = '\0';
	fclose(file);
	return -1;
}

/**
 * given() - Parse and check a command line
 * @line:	options with one space between them; _ stands for a space inside
 *		an option
 *
 * Return: what the program should do
 */
static enum conf_next given(const char *line)
{
	static char copy[8192];
	char *argv[WORDS + 1] = { "passt" }, *word;
	enum conf_next next;
	int argc = 1, saved;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok(copy, " "); word && argc < WORDS;
	     word = strtok(NULL, " ")) {
		char *s;

		for (s = word; (s = strchr(s, '_')); )
			*s = ' ';
		argv[argc++] = word;
	}

	saved = capture(stderr, -1);
	next = conf_parse(&c, argc, argv);
	if (next == CONF_GO)
		next = conf_check(&c);
	capture(stderr, saved);
	return next;
}

/* accepted() - Whether a command line is accepted, without a message */
static bool accepted(const char *line)
{
	return given(line) == CONF_GO && !*said;
}

/* refused() - Check that a command line is refused, and that @words is the only
 * line that is printed */
static void refused(const char *line, const char *words)
{
	char name[256], want[512];

	snprintf(name, sizeof(name), "'%s' is refused in one line", line);
	snprintf(want, sizeof(want), "passt: %s\n", words);
	if (given(line) != CONF_WRONG)
		fail(name, "it was accepted");
	else
		check_str(name, said, want);
}

static struct in6_addr ip(const char *s)
{
	struct in6_addr a = ADDR_NONE;

	addr_parse(s, &a);
	return a;
}

static bool is(const struct in6_addr *a, const char *s)
{
	struct in6_addr b = ip(s);

	return addr_eq(a, &b);
}

static void test_nothing_given(void)
{
	const uint8_t mac[] = CONF_MAC;

	check("no option at all is fine", accepted(""));
	check("both families and all protocols are on",
	      c.use[IP4] && c.use[IP6] && c.tcp && c.udp && c.icmp);
	check("all services answer", c.dhcp && c.dhcpv6 &&
	      c.ndp && c.ra);
	check("resolvers and domains are handed out",
	      c.dhcp_dns && c.dhcp_search);
	check("no MTU is given", !c.mtu_given);
	check_eq("a lease lasts a day", c.lease_time, 86400);
	check_mem("our MAC is the well-known one", c.mac, mac, MAC_LEN);
	check("the gateway leads to the host", c.map_gw && !c.no_map_loopback);
	check("no port is forwarded", !c.tcp_spec[0] && !c.udp_spec[0]);
	check("it goes to the background", !c.foreground && !c.one_off);
	check_eq("there is no inherited socket", c.fd, -1);
	check_eq("a log file is bounded to 1 MiB", c.log_size, 1024 * 1024);
	check("no address yet", addr_is_none(&c.addr[IP4][0]) &&
	      addr_is_none(&c.addr[IP6][0]));
}

static void test_words(void)
{
	check("letters may be joined", accepted("-1fq") && c.one_off &&
	      c.foreground && c.quiet);
	check("a value may follow its letter", accepted("-m1500") &&
	      c.mtu == 1500);
	check("a value may follow =", accepted("--mtu=1500") &&
	      c.mtu == 1500);
	check("a long name may be cut short", accepted("--foreg") &&
	      c.foreground);
	check("the last one wins", accepted("-m 1500 --mtu 9000") &&
	      c.mtu == 9000);
	check("-d overrules an earlier -q", accepted("-q -d") && c.debug &&
	      !c.quiet);
	check("-q overrules an earlier --trace", accepted("--trace -q") &&
	      c.quiet && !c.debug && !c.trace);
	check("--trace implies -d", accepted("--trace") && c.debug);
	check("-q hides information", accepted("-q") &&
	      !log_enabled(LOG_INFO) && log_enabled(LOG_WARNING));
	check("-d shows more", accepted("-d") && log_enabled(LOG_DEBUG) &&
	      !log_enabled(LOG_TRACE));
	check("--trace all", accepted("--trace") && log_enabled(LOG_TRACE));
	check("usually, information is shown", accepted("") &&
	      log_enabled(LOG_INFO) && !log_enabled(LOG_DEBUG));
	check("-e is accepted", accepted("-e"));
	check("--no-splice is accepted", accepted("--no-splice"));
	check("--repair-path none is accepted", accepted("--repair-path none"));

	refused("--foo", "--foo: is not an option: try passt --help");
	refused("--foo=bar", "--foo=bar: is not an option: try passt --help");
	refused("--no-d", "--no-d: can mean --no-dhcp-dns, --no-dhcp-search, "
		"--no-dhcp, --no-dhcpv6: give one of them");
	refused("--out=lo", "--out=lo: can mean --outbound, --outbound-if4, "
		"--outbound-if6: give one of them");
	refused("--=lo", "--=lo: is not an option: try passt --help");
	refused("-fx", "-x: is not an option: try passt --help");
	refused("bar", "bar: is not an option: try passt --help");
	refused("-f -- bar", "bar: is not an option: try passt --help");
	refused("--quiet=yes", "--quiet yes: takes no value");
	refused("--mtu", "--mtu: needs a value: MTU");
	refused("-a", "--address: needs a value: ADDR[/LEN]");
	refused("--pcap=", "--pcap '': is empty: give the path of a file");
	given("--fo\nbar\x1b");
	check_str("what is refused is still one line", said,
		  "passt: --fo?bar?: is not an option: try passt --help\n");
}

static void test_later(void)
{
	refused("-c /tmp/x",
		"--conf-path /tmp/x: is not available in this version");
	refused("--repair-path /tmp/x", "--repair-path /tmp/x: "
		"is not available in this version: only 'none' is");
}

static void test_other_modes(void)
{
	refused("--config-net", "--config-net: is for namespace mode only, "
		"and passt connects a virtual machine: leave it out");
	refused("-T 22", "--tcp-ns 22: is for namespace mode only, "
		"and passt connects a virtual machine: leave it out");
	refused("--migrate-exit",
		"--migrate-exit: is for vhost-user mode only, and for "
		"migration, which is not available: leave it out");
}

static void test_paths(void)
{
	char line[300] = "-s ", words[400];

	check("paths are kept", accepted("-P p -p q -l r -s s") &&
	      !strcmp(c.pid_file, "p") && !strcmp(c.pcap, "q") &&
	      !strcmp(c.log_file, "r") && !strcmp(c.socket_path, "s"));
	check("--socket-path is --socket", accepted("--socket-path /tmp/x") &&
	      !strcmp(c.socket_path, "/tmp/x"));
	check("what both names begin with is no question",
	      accepted("--sock /tmp/y") && !strcmp(c.socket_path, "/tmp/y"));

	memset(line + 3, 'a', 107);
	check("107 bytes of socket path are fine", accepted(line) &&
	      strlen(c.socket_path) == 107);
	strcat(line, "a");
	snprintf(words, sizeof(words), "--socket %s: is too long for a "
		 "socket: at most 107 bytes", line + 3);
	refused(line, words);

	check("a log file may be small", accepted("--log-size 4096") &&
	      c.log_size == 4096);
	refused("--log-size 4095",
		"--log-size 4095: is not between 4096 and 4294967295 bytes");
	check("statistics by the second", accepted("--stats 5") &&
	      c.stats == 5);
	check("no statistics", accepted("--stats 5 --stats 0") && !c.stats);
	check("flows", accepted("--max-flows 16") && c.max_flows == 16);
	check("as many as possible", accepted("") && c.max_flows == UINT32_MAX);
	refused("--max-flows 15", "--max-flows 15: is not 16 or more");
	refused("--stats x", "--stats x: is not between 1 and 86400 seconds, "
		"or 0 for none");
}

static void test_fd(void)
{
	int pair[2], file = dup(STDOUT_FILENO);
	char line[64], words[128];

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	snprintf(line, sizeof(line), "--fd %d", pair[0]);
	check("a socket is taken, and is the only one",
	      accepted(line) && c.fd == pair[0] && c.one_off);
	snprintf(line, sizeof(line), "--fd %d -s x", pair[0]);
	check("a path of a socket beside it has no effect",
	      accepted(line) && c.fd == pair[0]);
	close(pair[0]);
	close(pair[1]);

	refused("-F 1999", "--fd 1999: is not open: give an inherited socket");
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	snprintf(line, sizeof(line), "-F %d", pair[0]);
	snprintf(words, sizeof(words),
		 "--fd %d: is not a stream socket: give one", pair[0]);
	refused(line, words);
	close(pair[0]);
	close(pair[1]);

	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(line, sizeof(line), "-F %d", pair[0]);
	snprintf(words, sizeof(words),
		 "--fd %d: is not connected: give a connected socket", pair[0]);
	refused(line, words);
	close(pair[0]);

	snprintf(line, sizeof(line), "-F %d", file);
	snprintf(words, sizeof(words),
		 "--fd %d: is not a socket: give a connected one", file);
	refused(line, words);
	close(file);
	refused("-F 2", "--fd 2: is not the number of a descriptor: 3 or more");
	refused("-F x", "--fd x: is not the number of a descriptor: 3 or more");
}

static void test_lease_time(void)
{
	check("a lease of an hour", accepted("--lease-time 3600") &&
	      c.lease_time == 3600);
	check("the shortest lease", accepted("--lease-time 20") &&
	      c.lease_time == 20);
	check("the longest lease that ends",
	      accepted("--lease-time 4294967294") &&
	      c.lease_time == 4294967294);
	check("a lease that does not end", accepted("--lease-time infinite") &&
	      c.lease_time == LEASE_INFINITE);
	refused("--lease-time 19", "--lease-time 19: is not between 20 and "
		"4294967294 seconds, or 'infinite'");
	refused("--lease-time 4294967295", "--lease-time 4294967295: is not "
		"between 20 and 4294967294 seconds, or 'infinite'");
	refused("--lease-time 1h", "--lease-time 1h: is not between 20 and "
		"4294967294 seconds, or 'infinite'");
	refused("--lease-time", "--lease-time: needs a value: "
		"SECONDS|infinite");
}

static void test_mtu(void)
{
	check("no MTU may be announced", accepted("-m 0") && !c.mtu &&
	      c.mtu_given);
	check("68 is enough for IPv4", accepted("-4 -m 68") &&
	      c.mtu == 68);
	check("65521 is what a frame can hold", accepted("-m 65521") &&
	      c.mtu == 65521);
	check("below 68 the least of IPv4 is taken, with a warning",
	      given("-4 -m 67") == CONF_GO && c.mtu == 68 &&
	      strstr(said, "--mtu 67: the least for IPv4 is 68 (RFC 791 3.2)"));
	refused("-m 65522", "--mtu 65522: is not between 68 and 65521, or 0");
	check("below 1280, IPv6 gets a warning", given("-m 1279") == CONF_GO &&
	      strstr(said, "no IPv6 below 1280"));
	refused("--mtu 70000",
		"--mtu 70000: is not between 68 and 65521, or 0");
	refused("-m -1", "--mtu -1: is not between 68 and 65521, or 0");
	refused("-m 1500x", "--mtu 1500x: is not between 68 and 65521, or 0");
}

static void test_addresses(void)
{
	check("an address of each family", accepted("-a 192.0.2.9 "
	      "-a 2001:db8::9") && is(&c.addr[IP4][0], "192.0.2.9") &&
	      is(&c.addr[IP6][0], "2001:db8::9"));
	check("their lengths are still open",
	      !c.len[IP4][0] && !c.len[IP6][0]);
	check("lengths are kept", accepted("-a 192.0.2.9/27 "
	      "-a 2001:db8::9/56") && c.len[IP4][0] == 27 &&
	      c.len[IP6][0] == 56);
	check("a host's own length", accepted("-a 192.0.2.9/32") &&
	      c.len[IP4][0] == 32);
	check("several of a family, in order",
	      accepted("-a 192.0.2.9/27 -a fd00::9 -a 192.0.2.10 "
		       "-a fd00::a/48") &&
	      is(&c.addr[IP4][0], "192.0.2.9") && c.len[IP4][0] == 27 &&
	      is(&c.addr[IP4][1], "192.0.2.10") && !c.len[IP4][1] &&
	      is(&c.addr[IP6][1], "fd00::a") && c.len[IP6][1] == 48 &&
	      addr_is_none(&c.addr[IP4][2]));
	check("the same twice is one, with the last length",
	      accepted("-a 192.0.2.9/27 -a 192.0.2.10 -a 192.0.2.9/28") &&
	      c.len[IP4][0] == 28 && addr_is_none(&c.addr[IP4][2]));
	check("eight of a family",
	      accepted("-a fd00::1 -a fd00::2 -a fd00::3 -a fd00::4 "
		       "-a fd00::5 -a fd00::6 -a fd00::7 -a fd00::8 "
		       "-a 10.0.0.1"));
	refused("-a fd00::1 -a fd00::2 -a fd00::3 -a fd00::4 -a fd00::5 "
		"-a fd00::6 -a fd00::7 -a fd00::8 -a fd00::9",
		"--address fd00::9: is one too many: give at most 8 of a "
		"family");
	refused("-a 10.0.0.1 -a 10.0.0.2 -g 10.0.0.2", "--gateway 10.0.0.2: "
		"is the address of the guest: give another one");
}

static void test_wrong_addresses(void)
{
	refused("-a 192.0.2.256", "--address 192.0.2.256: is not an address: "
		"give ADDR or ADDR/LENGTH");
	refused("-a /24", "--address /24: is not an address: "
		"give ADDR or ADDR/LENGTH");
	refused("-a 192.0.2.1/33", "--address 192.0.2.1/33: has a prefix "
		"length that is not between 1 and 32");
	refused("-a 192.0.2.1/", "--address 192.0.2.1/: has a prefix "
		"length that is not between 1 and 32");
	refused("-a 2001:db8::/129", "--address 2001:db8::/129: has a prefix "
		"length that is not between 1 and 128");
	refused("-a 127.0.0.1", "--address 127.0.0.1: can't be a guest's: "
		"give a unicast address");
	refused("-a ff02::1", "--address ff02::1: can't be a guest's: "
		"give a unicast address");
	refused("-a 0.0.0.0", "--address 0.0.0.0: can't be a guest's: "
		"give a unicast address");
	refused("-a fe80::1", "--address fe80::1: is link-local, which the "
		"guest makes itself: give a global address");
}

static void test_no_host_access(void)
{
	refused("--no-host-access --map-host-loopback 192.0.2.9",
		"--map-host-loopback 192.0.2.9: contradicts --no-host-access: "
		"give one of them");
	refused("--no-host-access --map-guest-addr fd00::9",
		"--map-guest-addr fd00::9: contradicts --no-host-access: "
		"give one of them");
	check("no address may be named for it",
	      accepted("--no-host-access --map-host-loopback none "
		       "--map-guest-addr none --no-map-gw"));
}

static void test_netmask(void)
{
	check("a mask in bits", accepted("-n 20 -a 192.0.2.9") &&
	      c.netmask == 20);
	check("a dotted mask", accepted("-n 255.255.240.0") &&
	      c.netmask == 20);
	check("a mask of all ones", accepted("-n 255.255.255.255") &&
	      c.netmask == 32);
	refused("-n 255.0.255.0", "--netmask 255.0.255.0: is not a mask: "
		"give 1 to 32 bits, or 255.255.255.0 and the like");
	check("a mask of no bits is none", accepted("-n 0 -a 192.0.2.9/24") &&
	      !c.netmask && c.len[IP4][0] == 24);
	check("nor is a length of 0 one", accepted("-a 192.0.2.9/0 -n 20") &&
	      !c.len[IP4][0] && c.netmask == 20);
	refused("-n 33", "--netmask 33: is not a mask: "
		"give 1 to 32 bits, or 255.255.255.0 and the like");
	refused("-n ffff::", "--netmask ffff::: is not a mask: "
		"give 1 to 32 bits, or 255.255.255.0 and the like");
	refused("-a 192.0.2.1/24 -n 24", "--netmask 24: is a second length "
		"after --address ADDR/LEN: give one of them");
}

static void test_router(void)
{
	check("a gateway of each family", accepted("-g 192.0.2.1 -g fe80::7") &&
	      is(&c.gateway[IP4], "192.0.2.1") && is(&c.gateway[IP6], "fe80::7"));
	refused("-g router", "--gateway router: is not an address: "
		"give an IPv4 or IPv6 one");
	refused("-g 224.0.0.1", "--gateway 224.0.0.1: is no host's: "
		"give a unicast address");
	refused("-a 192.0.2.1 -g 192.0.2.1", "--gateway 192.0.2.1: "
		"is the address of the guest: give another one");

	check("our MAC", accepted("-M 52:54:00:aB:cd:ef") &&
	      c.mac[3] == 0xab);
	refused("-M 52:54:00:ab:cd", "--mac-addr 52:54:00:ab:cd: is not a MAC "
		"address: six pairs of hexadecimal digits with colons between");
	refused("-M 01:00:5e:00:00:01", "--mac-addr 01:00:5e:00:00:01: "
		"is no single station's: give a unicast MAC address");
	refused("-M 00:00:00:00:00:00", "--mac-addr 00:00:00:00:00:00: "
		"is no single station's: give a unicast MAC address");

	check("an interface there is", accepted("-i lo --outbound-if4 lo "
	      "--outbound-if6 lo") && !strcmp(c.ifname, "lo") &&
	      !strcmp(c.out_ifname[IP4], "lo") && !strcmp(c.out_ifname[IP6], "lo"));
	refused("-i nonesuch",
		"--interface nonesuch: is not an interface of this host");
	check("an outbound interface may come into being later",
	      given("--outbound-if4 vpn7") == CONF_GO &&
	      !strcmp(c.out_ifname[IP4], "vpn7"));
	check("but a warning says so", strstr(said, "--outbound-if4 vpn7: the "
					      "host has no such interface"));
	refused("--outbound-if6 a-name-too-long-", "--outbound-if6 "
		"a-name-too-long-: can't be an interface: give a name of 1 "
		"to 15 bytes");
	refused("-i a-name-that-is-too-long", "--interface "
		"a-name-that-is-too-long: is not an interface of this host");
}

static void test_names(void)
{
	char line[600] = "-S ", label[64] = "";
	unsigned int i;

	check("resolvers in order, as they are given",
	      accepted("-D 192.0.2.53 -D 127.0.0.1 -D ::1") &&
	      is(&c.dns[IP4][0], "192.0.2.53") &&
	      is(&c.dns[IP4][1], "127.0.0.1") &&
	      addr_is_none(&c.dns[IP4][2]) &&
	      is(&c.dns[IP6][0], "::1") &&
	      c.dns_given[IP4] && c.dns_given[IP6]);
	check("a resolver says nothing of the other family",
	      accepted("-D 192.0.2.53") && c.dns_given[IP4] &&
	      !c.dns_given[IP6]);
	check("no resolvers", accepted("-D 192.0.2.53 -D none") &&
	      addr_is_none(&c.dns[IP4][0]) &&
	      c.dns_given[IP4] && c.dns_given[IP6]);
	check("of more than eight resolvers the first eight count",
	      accepted("-D1.1.1.1 -D1.1.1.2 -D1.1.1.3 -D1.1.1.4 -D1.1.1.5 "
		       "-D1.1.1.6 -D1.1.1.7 -D1.1.1.8 -D1.1.1.9") &&
	      is(&c.dns[IP4][7], "1.1.1.8") && addr_is_none(&c.dns[IP6][0]));
	refused("-D localhost", "--dns localhost: is not a resolver's "
		"address: give an IPv4 or IPv6 one, or none");

	check("search domains with one space between",
	      accepted("-S _a.example__b.example.") &&
	      !strcmp(c.search, "a.example b.example"));
	check("no search domains", accepted("-S none") && c.search_given &&
	      !c.search[0]);
	check("search lists add up", accepted("-S a.example_b.example -S c") &&
	      !strcmp(c.search, "a.example b.example c"));
	check("none takes back those before it", accepted("-S a -S none") &&
	      !c.search[0]);
	refused("-S a..example", "--search a..example: has a part that is not "
		"a domain: give domains with spaces between, or none");
	memset(label, 'a', 62);
	for (i = 0; i < 5; i++)
		sprintf(line + strlen(line), "%s_", label);
	check("search domains beyond the room are refused",
	      given(line) == CONF_WRONG && strstr(said, "is too long: at most "
						  "255 bytes\n"));

	check("the root is no domain to search", accepted("-S ._a_.") &&
	      c.search_given && !strcmp(c.search, "a"));
	check("an empty name is none", accepted("-H vm --hostname= --fqdn= -q") &&
	      !c.hostname[0] && !c.fqdn[0]);
	check("names", accepted("-H vm-1 --fqdn vm-1.example.org.") &&
	      !strcmp(c.hostname, "vm-1") &&
	      !strcmp(c.fqdn, "vm-1.example.org"));
	refused("-H a_b", "--hostname a b: is not a host name: letters, "
		"digits, hyphens and dots, at most 253 of them");
	refused("--fqdn -a", "--fqdn -a: is not a host name: letters, "
		"digits, hyphens and dots, at most 253 of them");
	check("what is not handed out",
	      accepted("--no-dhcp-dns --no-dhcp-search") &&
	      !c.dhcp_dns && !c.dhcp_search);
}

static void test_families(void)
{
	check("-4: no service of IPv6 answers", accepted("-4") && !c.use[IP6] &&
	      c.use[IP4] && c.dhcp && !c.dhcpv6 && !c.ndp &&
	      !c.ra);
	check("-6: no DHCP", accepted("-6") && !c.use[IP4] && c.use[IP6] &&
	      !c.dhcp && c.dhcpv6 && c.ndp && c.ra);
	refused("-4 -6", "--ipv4-only: contradicts --ipv6-only: "
		"give one of them");
	check("--no-icmp takes neighbour discovery along",
	      accepted("--no-icmp") && !c.icmp && !c.ndp && !c.ra &&
	      c.dhcpv6);
	check("--no-ndp takes advertisements along", accepted("--no-ndp") &&
	      !c.ra && c.icmp);
	check("--no-ra leaves neighbour discovery", accepted("--no-ra") &&
	      !c.ra && c.ndp);
	check("protocols off", accepted("--no-tcp --no-udp --no-dhcp "
	      "--no-dhcpv6") && !c.tcp && !c.udp && c.icmp &&
	      !c.dhcp && !c.dhcpv6);
}

static void test_outward(void)
{
	check("source addresses",
	      given("-o 192.0.2.3 -o 2001:db8::3") == CONF_GO &&
	      is(&c.out[IP4], "192.0.2.3") && is(&c.out[IP6], "2001:db8::3"));
	check("addresses for the host's loopback",
	      accepted("--map-host-loopback 192.0.2.4 "
		       "--map-host-loopback 2001:db8::4") &&
	      is(&c.map_loopback[IP4], "192.0.2.4") &&
	      is(&c.map_loopback[IP6], "2001:db8::4") && !c.no_map_loopback);
	check("none of them", accepted("--map-host-loopback 192.0.2.4 "
				       "--map-host-loopback none") &&
	      addr_is_none(&c.map_loopback[IP4]) && c.no_map_loopback);
	check("the gateway is not one", accepted("--no-map-gw") && !c.map_gw);
	check("an address for the host's own copy",
	      accepted("--map-guest-addr 192.0.2.5") &&
	      is(&c.map_guest[IP4], "192.0.2.5"));
	check("a resolver's address, and the resolver",
	      accepted("--dns-forward 192.0.2.53 --dns-host 127.0.0.53") &&
	      is(&c.dns_match[IP4], "192.0.2.53") &&
	      is(c.dns_host[IP4], "127.0.0.53"));
	check("a source on the loopback", accepted("-o 127.0.0.1 -o ::1") &&
	      is(&c.out[IP4], "127.0.0.1") && is(&c.out[IP6], "::1"));
	check("a source may come into being later",
	      given("-o 192.0.2.9") == CONF_GO &&
	      is(&c.out[IP4], "192.0.2.9"));
	check("but a warning says so", strstr(said, "--outbound 192.0.2.9: the "
					      "host has no such address"));
	check("nobody can tell for a link-local source",
	      accepted("-o fe80::9"));
	refused("-o 224.0.0.1", "--outbound 224.0.0.1: is no host's: "
		"give a unicast address");
	refused("-o 192.0.2", "--outbound 192.0.2: is not an address: "
		"give an IPv4 or IPv6 one");
	refused("--map-host-loopback no", "--map-host-loopback no: is not an "
		"address: give an IPv4 or IPv6 one");
	refused("--dns-host ::", "--dns-host ::: is not a resolver's address: "
		"give an IPv4 or IPv6 one");
}

static void test_inward(void)
{
	char *argv[CONF_SPECS + 3];
	int argc = 0, saved;

	check("rules are kept in order, unread",
	      accepted("-t 22 -u all -t whatever") &&
	      !strcmp(c.tcp_spec[0], "22") &&
	      !strcmp(c.tcp_spec[1], "whatever") && !c.tcp_spec[2] &&
	      !strcmp(c.udp_spec[0], "all") && !c.udp_spec[1]);
	refused("--no-tcp -t 22",
		"--tcp-ports 22: contradicts --no-tcp: give one of them");
	refused("-u none -u 53 --no-udp",
		"--udp-ports 53: contradicts --no-udp: give one of them");
	check("no port contradicts nothing",
	      accepted("--no-tcp -t none --no-udp -u none"));
	check("--freebind", accepted("--freebind") && c.freebind);
	check("--multicast", accepted("--multicast") && c.multicast);
	check("no multicast by itself", accepted("--quiet") && !c.multicast);

	argv[argc++] = "passt";
	while (argc <= CONF_SPECS)
		argv[argc++] = "-t1";
	check("255 rules fit", conf_parse(&c, argc, argv) == CONF_GO &&
	      c.tcp_spec[254] && !c.tcp_spec[255]);
	argv[argc++] = "-t2";
	saved = capture(stderr, -1);
	check("one more does not", conf_parse(&c, argc, argv) == CONF_WRONG);
	capture(stderr, saved);
	check_str("and is named", said, "passt: --tcp-ports 2: is one too "
		  "many: give at most 255\n");
}

static void test_runas(void)
{
	check("a user remains", accepted("") && c.uid == 1000);
	check("and may say so", accepted("--runas 1000"));
	refused("--runas 4242", "--runas 4242: needs a start as root");

	starter = 0;
	check("root becomes nobody", accepted("") && c.uid && c.gid);
	check("a number", accepted("--runas 4242") && c.uid == 4242 &&
	      c.gid == 4242);
	check("two numbers", accepted("--runas 4242:4343") && c.uid == 4242 &&
	      c.gid == 4343);
	check("a name, with its own group", accepted("--runas daemon") &&
	      c.uid == 1 && c.gid == 1);
	check("a name and a group", accepted("--runas nobody:root") &&
	      c.uid && !c.gid);
	refused("--runas nonesuch", "--runas nonesuch: names no user: "
		"give UID[:GID] or LOGIN[:GROUP]");
	refused("--runas root:nonesuch", "--runas root:nonesuch: names no "
		"group: give UID[:GID] or LOGIN[:GROUP]");
	refused("--runas :", "--runas :: names no user: "
		"give UID[:GID] or LOGIN[:GROUP]");

	refused("--runas 0", "--runas 0: is root, and passt does not stay "
		"root: name another user");
	refused("--runas root:nogroup", "--runas 0: is root, and passt does "
		"not stay root: name another user");
	namespace = true;
	check("root of a namespace may stay root", accepted("--runas root") &&
	      !c.uid && !c.gid);
	namespace = false;

	starter = 1000;
	root_too = true;
	check("a root that acts as a user becomes this user", accepted("") &&
	      c.uid == 1000);
	check("or another one", accepted("--runas 4242") && c.uid == 4242);
	root_too = false;
}

/* narrow() - Whether all lines of help fit a terminal of 80 columns */
static bool narrow(const char *s)
{
	for (; *s; s += strspn(s, "\n")) {
		size_t len = strcspn(s, "\n");

		if (len > 80)
			return false;
		s += len;
	}
	return true;
}

static void test_help(void)
{
	char *argv[] = { "passt", "--help", NULL };
	unsigned int i, missing = 0;
	enum conf_next next;
	int saved;

	saved = capture(stdout, -1);
	next = conf_parse(&c, 2, argv);
	capture(stdout, saved);
	check("--help ends well", next == CONF_DONE);
	check("no line of it is wider than 80 columns", narrow(said));
	for (i = 0; i < conf_option_count; i++) {
		const struct opt *o = &conf_options[i];
		char name[80];

		if (!o->name || !o->help)
			continue;
		help_name(o, name, sizeof(name));
		if (!strstr(said, name))
			missing++;
	}
	check_eq("it lists every option", missing, 0);
	check("and none of those to come", !strstr(said, "conf-path"));

	argv[1] = "--version";
	saved = capture(stdout, -1);
	next = conf_parse(&c, 2, argv);
	capture(stdout, saved);
	check("--version ends well", next == CONF_DONE);
	check("it names program and version",
	      !strncmp(said, "passt " VERSION "\n", sizeof("passt " VERSION)));
	check("and the licence", strstr(said, "AGPL, version 3 or later"));
}

/* No two options share a letter or a name, and OPTIONS_MAX is large enough. */
static void test_table(void)
{
	unsigned int i, j, twice = 0;

	for (i = 0; i < conf_option_count; i++) {
		for (j = i + 1; j < conf_option_count; j++) {
			const struct opt *a = &conf_options[i];
			const struct opt *b = &conf_options[j];

			if (a->name && b->name &&
			    (!strcmp(a->name, b->name) ||
			     (a->letter && a->letter == b->letter)))
				twice++;
		}
	}
	check_eq("no option is there twice", twice, 0);
	check("the table fits", conf_option_count <= OPTIONS_MAX);
}

int main(void)
{
	test_table();
	test_nothing_given();
	test_words();
	test_later();
	test_other_modes();
	test_paths();
	test_fd();
	test_mtu();
	test_lease_time();
	test_addresses();
	test_wrong_addresses();
	test_no_host_access();
	test_netmask();
	test_router();
	test_names();
	test_families();
	test_outward();
	test_inward();
	test_runas();
	test_help();
	return unit_end();
}

// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolv.c - Tests of which resolvers and search domains are read from
 * resolv.conf, and which names are valid domains.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../host/resolv.c"
#include "unit.h"

static struct resolv r;

/* open_at() - Open a file as the product does; the descriptor or -errno */
static int open_at(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* given() - Read a resolv.conf with this text */
static void given(const char *text)
{
	char path[] = "/tmp/passt-resolv-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	fputs(text, f);
	fclose(f);
	if (resolv_read(&r, open_at(path)))
		fail("resolv.conf", "can't be read");
	unlink(path);
}

static bool dns_is(unsigned int i, const char *s)
{
	struct in6_addr a = ADDR_NONE;

	addr_parse(s, &a);
	return i < r.n && addr_eq(&r.dns[i], &a);
}

static void test_usual(void)
{
	given("# made by something\n"
	      "; likewise\n"
	      "nameserver 192.0.2.53\n"
	      "nameserver\t2001:db8::53   # the second\n"
	      "search example.org lan.\n"
	      "options edns0\n"
	      "nameserver fe80::1%lo\n");
	check_eq("three name servers", r.n, 3);
	check("in order", dns_is(0, "192.0.2.53") &&
	      dns_is(1, "2001:db8::53"));
	check("with the interface of a link-local one",
	      dns_is(2, "fe80::1") && r.scope[2] == 1);
	check("which no other has", !r.scope[0] && !r.scope[1]);
	check_str("domains, without a final dot", r.search, "example.org lan");
}

static void test_scope(void)
{
	given("nameserver fe80::1%7\nnameserver fe80::2\n"
	      "nameserver fe80::3%nosuch0\nnameserver fe80::4%\n"
	      "nameserver 2001:db8::1%lo\nnameserver 192.0.2.1%lo\n");
	check("an interface may be given by number",
	      dns_is(0, "fe80::1") && r.scope[0] == 7);
	check("or not at all", dns_is(1, "fe80::2") && !r.scope[1]);
	check("on one that the host lacks, there is no resolver",
	      dns_is(2, "2001:db8::1"));
	check("an address that is not link-local needs none",
	      dns_is(3, "192.0.2.1") && !r.scope[2] && !r.scope[3] &&
	      r.n == 4);
}

static void test_domain_and_search(void)
{
	given("search a.example b.example\ndomain c.example\n");
	check_str("the last of domain and search wins", r.search, "c.example");
	given("domain c.example\nsearch\n");
	check_str("even if it is empty", r.search, "");
	given("search . a_b.example -x.example c.example\n");
	check_str("what is no name is left out", r.search,
		  "a_b.example c.example");
}

static void test_odd(void)
{
	char text[8192] = "search";
	unsigned int i;

	given("");
	check("an empty file", !r.n && !r.search[0]);
	given("nameserver\nnameserver x\nnameserver 0.0.0.0\nnameserver ::\n"
	      "nameserver 192.0.2.1x\nnameservers 192.0.2.2\n");
	check_eq("what is no address is no name server", r.n, 0);
	given("nameserver 192.0.2.53");
	check_eq("the last line may have no end", r.n, 1);
	given("nameserver 192.0.2.53\r\nsearch a.example\r\n");
	check("lines may end as elsewhere", dns_is(0, "192.0.2.53") &&
	      !strcmp(r.search, "a.example"));

	for (i = 0; i < 700; i++)
		strcat(text, " a.example");
	strcat(text, " nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	given(text);
	check("a long line is one line", r.n == 1 && dns_is(0, "192.0.2.2"));
	check("domains fill the room, whole",
	      strlen(r.search) > LEASE_SEARCH - 12 &&
	      !strcmp(r.search + strlen(r.search) - 10, " a.example"));

	*text = '\0';
	for (i = 0; i < 100; i++)
		strcat(text, "nameserver 192.0.2.1\n");
	given(text);
	check_eq("name servers are bounded", r.n, RESOLV_DNS);
	check_eq("no file is an error", resolv_read(&r, open_at("/nonesuch")), -ENOENT);
	check("which leaves nothing", !r.n && !r.search[0]);
}

/* Whatever the path leads to, reading it ends soon. */
static void test_no_file(void)
{
	char dir[] = "/tmp/resolv-XXXXXX", path[sizeof(dir) + 5];

	if (!mkdtemp(dir))
		fail("folder", "can't be made");
	sprintf(path, "%s/pipe", dir);
	if (mkfifo(path, 0600))
		fail("pipe", "can't be made");
	alarm(10);
	check_eq("a pipe without a writer", resolv_read(&r, open_at(path)), 0);
	check("names no resolver", !r.n);
	check_eq("a device without an end", resolv_read(&r, open_at("/dev/zero")), 0);
	alarm(0);
	check("names none either", !r.n);
	check_eq("a folder is like an empty file", resolv_read(&r, open_at(dir)), 0);
	unlink(path);
	rmdir(dir);
}

static bool domain(const char *s)
{
	return domain_ok(s, strlen(s));
}

static void test_domain_ok(void)
{
	char s[300];

	check("names", domain("a") && domain("a.b") && domain("example.org.") &&
	      domain("1.2") && domain("_tcp.a-b.C"));
	check("no names", !domain("") && !domain(".") && !domain("a..b") &&
	      !domain(".a") && !domain("a..") && !domain("-a") &&
	      !domain("a-.b") && !domain("a b") && !domain("a/b") &&
	      !domain("\xc3\xa4"));

	memset(s, 'a', sizeof(s));
	check("a label of 63 bytes", domain_ok(s, 63));
	check("not of 64", !domain_ok(s, 64));
	s[63] = s[127] = s[191] = '.';
	check("a name of 253 bytes", domain_ok(s, 253));
	check("not of 254", !domain_ok(s, 254));
	s[253] = '.';
	check("but for a final dot", domain_ok(s, 254));
}

int main(void)
{
	test_usual();
	test_scope();
	test_domain_and_search();
	test_odd();
	test_no_file();
	test_domain_ok();
	return unit_end();
}

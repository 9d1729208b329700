// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolv.c - libFuzzer target: whatever is in resolv.conf, passt takes the
 * resolvers and domains that a slow and simple reader takes, and each of them
 * is valid.
 *
 * Each input is a file. Names of interfaces are the letters a to z.
 */
#include <stdio.h>
#include <unistd.h>

#include "host/resolv.h"
#include "sock.h"
#include "test/fuzz/fuzz.h"

/* The rest of the file, and how many bytes read() returns at most. */
static struct input file;
static size_t piece;

/* fake_read() - Read the file, in pieces */
static ssize_t fake_read(int fd, void *buf, size_t len)
{
	size_t n = MIN(MIN(piece, len), file.left);

	memcpy(buf, file.at, n);
	file.at += n;
	file.left -= n;
	return (ssize_t)n;
}

/* fake_index() - Return the index of an interface: 1 for a */
static unsigned int fake_index(const char *name)
{
	if (name[0] < 'a' || name[0] > 'z' || name[1])
		return 0;
	return (unsigned int)(name[0] - 'a' + 1);
}

#define read		fake_read
#define close(fd)	0
#define sock_ifindex		fake_index
#include "../../host/resolv.c"
#undef read
#undef close
#undef sock_ifindex

UNCOUNTED

#define LINE	1023	/* bytes of a line that are read */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* want_label() - Whether a string is a label of a domain name */
static bool want_label(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') &&
		    !(s[i] >= 'A' && s[i] <= 'Z') &&
		    !(s[i] >= '0' && s[i] <= '9') && s[i] != '-' && s[i] != '_')
			return false;
	return len >= 1 && len <= 63 && s[0] != '-' && s[len - 1] != '-';
}

static bool want_domain(const char *s, size_t len)
{
	size_t from = 0, i;

	if (len && s[len - 1] == '.')
		len--;
	if (len > 253)
		return false;
	for (i = 0; i <= len; i++) {
		if (i < len && s[i] != '.')
			continue;
		if (!want_label(s + from, i - from))
			return false;
		from = i + 1;
	}
	return true;
}

/* want_resolver() - Add the resolver that a word names to @w */
static void want_resolver(struct resolv *w, char *word)
{
	char *scope = strchr(word, '%');
	uint64_t index = 0;
	struct in6_addr a;

	if (scope)
		*scope++ = '\0';
	if (w->n == RESOLV_DNS || !addr_parse(word, &a) ||
	    !(addr_is_unicast(&a) || addr_is_loopback(&a)))
		return;
	if (scope && !addr_is_v4(&a) && addr_is_linklocal(&a)) {
		if (!number_parse(scope, 1, INT32_MAX, &index))
			index = fake_index(scope);
		if (!index)
			return;
	}
	w->scope[w->n] = (uint32_t)index;
	w->dns[w->n++] = a;
}

/* want_domains() - Set the search list of @w to the words that follow */
static void want_domains(struct resolv *w, char *words[], unsigned int n)
{
	unsigned int i;
	size_t len, used;

	w->search[0] = '\0';
	for (i = 0; i < n; i++) {
		len = strlen(words[i]);
		if (!want_domain(words[i], len))
			continue;
		len -= words[i][len - 1] == '.';
		used = strlen(w->search);
		if (used + (used > 0) + len >= sizeof(w->search))
			return;
		snprintf(w->search + used, sizeof(w->search) - used, "%s%.*s",
			 used ? " " : "", (int)len, words[i]);
	}
}

/* want_line() - Take what a line says into @w */
static void want_line(struct resolv *w, char *line)
{
	static char *words[LINE];
	unsigned int n = 0;
	char *c = line;

	if (*line == '#' || *line == ';')
		return;
	while (*c) {
		while (is_blank(*c))
			c++;
		if (!*c)
			break;
		words[n++] = c;
		while (*c && !is_blank(*c))
			c++;
		if (*c)
			*c++ = '\0';
	}
	if (n > 1 && !strcmp(words[0], "nameserver"))
		want_resolver(w, words[1]);
	else if (n && (!strcmp(words[0], "search") ||
		       !strcmp(words[0], "domain")))
		want_domains(w, words + 1, n - 1);
}

/* want_file() - Read a file into @w. A line ends at a NUL, too */
static void want_file(struct resolv *w, const uint8_t *p, size_t size)
{
	const uint8_t *end;
	char line[LINE + 1];
	size_t len;

	memset(w, 0, sizeof(*w));
	while (size) {
		end = memchr(p, '\n', size);
		len = end ? (size_t)(end - p) : size;
		memcpy(line, p, MIN(len, LINE));
		line[MIN(len, LINE)] = '\0';
		want_line(w, line);
		len += end != NULL;
		p += len;
		size -= len;
	}
}

/* check_valid() - Check that each resolver and each domain is valid */
static void check_valid(const struct resolv *r)
{
	const char *c = r->search;
	unsigned int i;
	size_t len;

	MUST(r->n <= RESOLV_DNS);
	for (i = 0; i < r->n; i++) {
		MUST(addr_is_unicast(&r->dns[i]) ||
		     addr_is_loopback(&r->dns[i]));
		MUST(!r->scope[i] || addr_is_linklocal(&r->dns[i]));
	}
	MUST(memchr(r->search, '\0', sizeof(r->search)));
	while (*c) {
		len = strcspn(c, " ");
		MUST(want_domain(c, len) && c[len - 1] != '.');
		c += len + (c[len] == ' ');
		MUST(*c || c[-1] != ' ');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolv r, want;

	if (!size)
		return 0;
	file = (struct input){ data, size };
	piece = 1 + data[size - 1];
	MUST(!resolv_read(&r, 3));
	check_valid(&r);
	want_file(&want, data, size);
	MUST(r.n == want.n && !strcmp(r.search, want.search));
	MUST(!memcmp(r.dns, want.dns, sizeof(r.dns)));
	MUST(!memcmp(r.scope, want.scope, sizeof(r.scope)));
	return 0;
}

COUNTED

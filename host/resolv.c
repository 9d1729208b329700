// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolv.c - Reads resolv.conf(5), and checks addresses of resolvers and domain
 * names.
 */
/* syscalls: close read */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/resolv.h"
#include "sock.h"

#define LABEL_MAX	63	/* RFC 1035 2.3.4 */
#define BLANKS		" \t\r\n"
#define LINES_MAX	65536	/* lines that are read; this takes a few ms */
#define LINE_MAX_LEN	1024	/* bytes of a line that are used, and one */
#define SKIP_MAX	(1 << 20)	/* bytes of a line that are skipped */

static bool label_char(char c)
{
	char lower = (char)(c | 0x20);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* label_ok() - Check a label of a domain name (RFC 1035 2.3.1). Underscores are
 * allowed as well, because some names have them. */
static bool label_ok(const char *s, size_t len)
{
	size_t i;

	if (!len || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;

	for (i = 0; i < len; i++) {
		if (!label_char(s[i]))
			return false;
	}
	return true;
}

/**
 * domain_ok() - Check the syntax of a domain name (RFC 1035 2.3.1)
 * @s:		name, which need not be terminated
 * @len:	length of the name, bytes, including a final dot
 *
 * Return: true if @s is a domain name
 */
bool domain_ok(const char *s, size_t len)
{
	size_t label, i;

	if (len && s[len - 1] == '.')
		len--;
	if (!len || len > DOMAIN_MAX)
		return false;

	for (i = 0; i <= len; i += label + 1) {
		for (label = 0; i + label < len && s[i + label] != '.'; label++)
			;
		if (!label_ok(s + i, label))
			return false;
	}
	return true;
}

/**
 * search_add() - Append a domain to a search list
 * @list:	domains, separated by one space
 * @s:		domain to append, not empty. A final dot is not appended
 * @len:	length of @s, bytes, including a final dot
 *
 * Return: false if @list has no space for the domain
 */
bool search_add(char list[LEASE_SEARCH], const char *s, size_t len)
{
	size_t used = strlen(list);

	if (s[len - 1] == '.')
		len--;
	if (used + (used > 0) + len >= LEASE_SEARCH)
		return false;

	if (used)
		list[used++] = ' ';
	memcpy(list + used, s, len);
	list[used + len] = '\0';
	return true;
}

/* next_word() - Cut off the next word of a line, in place, and move @line past
 * the word; NULL: no word is left */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, BLANKS);
	char *end = word + strcspn(word, BLANKS);

	if (!*word)
		return NULL;
	*line = end + (*end != '\0');
	*end = '\0';
	return word;
}

/**
 * resolver_ok() - Check whether an address can be that of a resolver
 * @a:		address
 *
 * Return: true if the address is unicast or loopback; a resolver on the host
 *	   itself may have a loopback address
 */
bool resolver_ok(const struct in6_addr *a)
{
	return addr_is_unicast(a) || addr_is_loopback(a);
}

/* scope_index() - Return the index of the interface that a scope gives by name
 * or by number; 0: there is none */
static uint32_t scope_index(const char *scope)
{
	uint64_t n;

	if (number_parse(scope, 1, INT32_MAX, &n))
		return (uint32_t)n;
	return sock_ifindex(scope);
}

/* add_nameserver() - Append a resolver. The resolver is ignored if the address
 * or its scope is not valid, or if @r has no space. Only a link-local address
 * has a scope: an address of another kind leads to the same machine on each
 * interface. */
static void add_nameserver(struct resolv *r, char *word)
{
	char *scope = strchr(word, '%');
	struct in6_addr a;
	uint32_t index = 0;

	if (scope)
		*scope++ = '\0';
	if (r->n == RESOLV_DNS || !addr_parse(word, &a) || !resolver_ok(&a))
		return;
	if (scope && !addr_is_v4(&a) && addr_is_linklocal(&a)) {
		index = scope_index(scope);
		if (!index)
			return;
	}
	r->scope[r->n] = index;
	r->dns[r->n++] = a;
}

/*
 * resolv_parse_line() - Parse one line, in place, and add its resolver or
 *		domains
 *
 * If there are several 'domain' and 'search' lines, the last one counts
 * (resolv.conf(5)). Words that are not domain names are ignored. The search
 * list ends before the first domain for which it has no space.
 */
static void resolv_parse_line(struct resolv *r, char *line)
{
	char *key, *word;

	if (*line == '#' || *line == ';')
		return;
	key = next_word(&line);
	if (!key)
		return;

	if (!strcmp(key, "nameserver")) {
		word = next_word(&line);
		if (word)
			add_nameserver(r, word);
		return;
	}
	if (strcmp(key, "search") && strcmp(key, "domain"))
		return;

	r->search[0] = '\0';
	while ((word = next_word(&line))) {
		size_t len = strlen(word);

		if (domain_ok(word, len) && !search_add(r->search, word, len))
			return;
	}
}

/**
 * struct text - A file that is read in lines
 * @fd:		descriptor
 * @buf:	bytes that were read
 * @at, @end:	offsets in @buf of the bytes that are not used yet
 */
struct text {
	int fd;
	char buf[4096];
	size_t at, end;
};

/* next_byte() - Return the next byte of a file; -1 at its end, or on failure */
static int next_byte(struct text *t)
{
	ssize_t n;

	if (t->at == t->end) {
		n = read(t->fd, t->buf, sizeof(t->buf));
		if (n <= 0)
			return -1;
		t->at = 0;
		t->end = (size_t)n;
	}
	return (unsigned char)t->buf[t->at++];
}

/* next_line() - Read the next line, without its newline. What is longer than
 * @line is skipped, up to @skip bytes. Returns false at the end of the file, or
 * if the line is even longer */
static bool next_line(struct text *t, char line[LINE_MAX_LEN], size_t skip)
{
	size_t len = 0;
	int c = next_byte(t);

	if (c < 0)
		return false;
	for (; c >= 0 && c != '\n' && len < LINE_MAX_LEN + skip;
	     c = next_byte(t)) {
		if (len < LINE_MAX_LEN - 1)
			line[len] = (char)c;
		len++;
	}
	line[MIN(len, LINE_MAX_LEN - 1)] = '\0';
	return c < 0 || c == '\n';
}

/**
 * resolv_read() - Read the host's resolver configuration
 * @r:		filled; empty on failure
 * @fd:		the file, non-blocking; this function closes it. If @fd < 0, it
 *		is the -errno with which the file could not be opened
 *
 * Only the first 1023 bytes of each line are read. This is more than the fields
 * of @r have space for. passt calls this function while it serves a guest, so
 * the function never waits, and ends soon, whatever the file is.
 *
 * Return: 0, or the -errno in @fd
 */
int resolv_read(struct resolv *r, int fd)
{
	struct text t = { .fd = fd };
	char line[LINE_MAX_LEN];
	unsigned int i;

	memset(r, 0, sizeof(*r));
	if (fd < 0)
		return fd;
	for (i = 0; i < LINES_MAX && next_line(&t, line, SKIP_MAX); i++)
		resolv_parse_line(r, line);
	close(fd);
	return 0;
}

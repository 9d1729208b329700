// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * resolv.c - Reads resolv.conf(5); domain names as text.
 * Called by options.c and defaults.c; calls libc and util.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/resolv.h"

#define LABEL_MAX	63	/* RFC 1035 2.3.4 */
#define BLANKS		" \t\r\n"

static bool name_char(char c)
{
	char lower = (char)(c | 0x20);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* label_ok() - Letters, digits, hyphens inside; underscores are in use, too */
static bool label_ok(const char *s, size_t len)
{
	size_t i;

	if (!len || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;

	for (i = 0; i < len; i++) {
		if (!name_char(s[i]))
			return false;
	}
	return true;
}

/**
 * domain_ok() - Whether a string is a name in the DNS (RFC 1035 2.3.1)
 * @s:		string, may go on after @len
 * @len:	its length, bytes; a final dot is let through
 *
 * Return: true if so
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
 * @list:	domains separated by one space
 * @s:		domain, without a final dot in the list
 * @len:	its length, bytes
 *
 * Return: false if there is no room
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

/* next_word() - The next word of a line, ended in place; NULL: no more */
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

/* resolver_ok() - Whether a resolver can have an address; one here can, too */
bool resolver_ok(const struct in6_addr *a)
{
	return addr_is_unicast(a) || addr_is_loopback(a);
}

/* add_nameserver() - One more name server, if there is room; no scope */
static void add_nameserver(struct resolv *r, char *word)
{
	word[strcspn(word, "%")] = '\0';
	if (r->n < RESOLV_DNS && addr_parse(word, &r->dns[r->n]) &&
	    resolver_ok(&r->dns[r->n]))
		r->n++;
}

/**
 * parse_line() - One line
 * @r:		what was read so far
 * @line:	the line, modified
 *
 * Of 'domain' and 'search', the last one wins. What isn't a name is left out,
 * as are the domains that no longer fit.
 */
static void parse_line(struct resolv *r, char *line)
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
 * resolv_read() - Read the host's resolver configuration
 * @r:		filled; empty on failure
 * @path:	the file
 *
 * A line is read to its 1023rd byte: longer ones hold no more than we take.
 *
 * Return: 0, -errno on failure
 */
int resolv_read(struct resolv *r, const char *path)
{
	bool whole = true, starts;
	char line[1024];
	FILE *f;

	memset(r, 0, sizeof(*r));
	f = fopen(path, "re");
	if (!f)
		return -errno;

	while (fgets(line, sizeof(line), f)) {
		starts = whole;
		whole = strchr(line, '\n');
		if (starts)
			parse_line(r, line);
	}
	fclose(f);
	return 0;
}

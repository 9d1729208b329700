// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * domain.c - Writes domain names as DNS labels (RFC 1035 3.1), for DHCP options
 * 81 and 119, DHCPv6 options 24 and 39, and option DNSSL of router
 * advertisements.
 *
 * A name that DNS can't express is left out, because clients would reject the
 * whole option. Such a name has an empty label, a label of more than 63 bytes,
 * or more than 255 bytes in all.
 */
#include <strings.h>

#include "answer/domain.h"
#include "conf/lease.h"

#define LABEL_MAX	63	/* RFC 1035 2.3.4 */
#define NAME_MAX_WIRE	255	/* bytes, with length bytes: RFC 1035 2.3.4 */
#define POINTER		0xc000	/* marks a pointer to labels, RFC 1035 4.1.4 */

/**
 * struct suffixes - The suffixes of all names that were written to a message.
 *		The suffixes of www.example.org are the name itself, example.org
 *		and org
 * @at:		for each suffix: its text, the length of the text, and the
 *		offset of the suffix in the message, bytes. A suffix takes at
 *		least two bytes of a search list, so the array has space for all
 * @n:		number of suffixes
 */
struct suffixes {
	struct {
		const char *text;
		size_t len;
		uint16_t offset;
	} at[LEASE_SEARCH / 2];
	unsigned int n;
};

/* label_len() - Get the length of a name up to its next dot or its end */
static size_t label_len(const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);

	return dot ? (size_t)(dot - name) : len;
}

/* is_domain_valid() - Whether a name, without final dot, can be written as DNS
 * labels */
static bool is_domain_valid(const char *name, size_t len)
{
	if (!len || len + 2 > NAME_MAX_WIRE)
		return false;

	while (true) {
		size_t label = label_len(name, len);

		if (!label || label > LABEL_MAX)
			return false;
		if (label == len)
			return true;
		name += label + 1;
		len -= label + 1;
		if (!len)
			return false;
	}
}

/* suffix_find() - Find the offset of a suffix in the message; -1: the message
 * does not have this suffix */
static int suffix_find(const struct suffixes *seen, const char *name,
		       size_t len)
{
	for (unsigned int i = 0; i < seen->n; i++) {
		if (seen->at[i].len == len &&
		    !strncasecmp(seen->at[i].text, name, len))
			return seen->at[i].offset;
	}
	return -1;
}

static void suffix_add(struct suffixes *seen, const char *name, size_t len,
		       size_t offset)
{
	if (seen->n == ARRAY_SIZE(seen->at))
		return;
	seen->at[seen->n].text = name;
	seen->at[seen->n].len = len;
	seen->at[seen->n].offset = (uint16_t)offset;
	seen->n++;
}

/**
 * put_labels() - Append a valid name as labels
 * @w:		message. If @seen is not NULL, the message must begin with the
 *		list of names, because pointers count from there
 * @name:	name with dots between labels, without a final dot. The name
 *		need not be terminated
 * @len:	length of the name, bytes
 * @seen:	suffixes of earlier names, which pointers may refer to; this
 *		name's suffixes are added. NULL: write no pointers
 */
static void put_labels(struct msgbuf *w, const char *name, size_t len,
		       struct suffixes *seen)
{
	while (len) {
		size_t label = label_len(name, len);
		int offset = seen ? suffix_find(seen, name, len) : -1;

		if (offset >= 0) {
			msgbuf_be16(w, (uint16_t)(POINTER | offset));
			return;
		}
		if (seen)
			suffix_add(seen, name, len, w->len);

		msgbuf_u8(w, (uint8_t)label);
		msgbuf_put(w, name, label);
		if (label < len)
			label++;
		name += label;
		len -= label;
	}
	msgbuf_u8(w, 0);
}

/* put_domain_name() - Append a name with or without a final dot, if it is
 * valid */
static void put_domain_name(struct msgbuf *w, const char *name, size_t len,
			    struct suffixes *seen)
{
	if (len && name[len - 1] == '.')
		len--;
	if (is_domain_valid(name, len))
		put_labels(w, name, len, seen);
}

static void put_domain_list(struct msgbuf *w, const char *list,
			    struct suffixes *seen)
{
	while (*list) {
		size_t len = strcspn(list, " ");

		put_domain_name(w, list, len, seen);
		list += len;
		list += strspn(list, " ");
	}
}

/**
 * domain_put() - Append one name as labels, or nothing if the name is not valid
 * @w:		message
 * @name:	name with dots between labels, with or without a final dot
 */
void domain_put(struct msgbuf *w, const char *name)
{
	put_domain_name(w, name, strlen(name), NULL);
}

/**
 * domain_list_put() - Append the valid names of a list, without compression
 * @w:		message
 * @list:	dotted names, separated by a space
 */
void domain_list_put(struct msgbuf *w, const char *list)
{
	put_domain_list(w, list, NULL);
}

/**
 * domain_list_put_compressed() - Append the valid names of a list. If a name
 *		ends in the same labels as an earlier one, it has a pointer in
 *		place of these labels (RFC 3397 2)
 * @w:		empty message: pointers count from its start
 * @list:	dotted names, separated by a space
 */
void domain_list_put_compressed(struct msgbuf *w, const char *list)
{
	struct suffixes seen = { .n = 0 };

	put_domain_list(w, list, &seen);
}

/**
 * domain_first_len() - Get the length of the first name of a list, without a
 *		final dot
 * @list:	dotted names, separated by a space
 *
 * Return: length in bytes, 0 if the list is empty
 */
size_t domain_first_len(const char *list)
{
	size_t len = strcspn(list, " ");

	if (len && list[len - 1] == '.')
		len--;
	return len;
}

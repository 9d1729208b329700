/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * dhcp.h - A DHCP client that sends any message, and looks at the reply.
 * Included by unit tests after answer.h.
 */
#ifndef TEST_UNIT_DHCP_H
#define TEST_UNIT_DHCP_H

#define L3		14
#define L4		(14 + 20)
#define MSG		(L4 + 8)	/* offset of the message in a frame */
#define OPTIONS		(MSG + 240)

#define OURS		"\xc0\0\2\x0f"	/* 192.0.2.15 */
#define OTHER		"\xc0\0\2\x10"
#define SERVER		"\xc0\0\2\1"	/* 192.0.2.1 */

static bool deliver(struct world *w, const struct pkt *pkt)
{
	return dhcp_from_guest(&w->answer, pkt);
}

/**
 * struct client - A message of the client
 * @m:		UDP header and message
 * @h:		fixed part of the message
 * @src, @dst:	IP addresses
 */
struct client {
	uint8_t buf[2048];
	struct msgbuf m;
	struct dhcp_hdr *h;
	const char *src, *dst;
};

static void opt(struct client *c, uint8_t code, const void *data, size_t len)
{
	msgbuf_u8(&c->m, code);
	msgbuf_u8(&c->m, (uint8_t)len);
	msgbuf_put(&c->m, data, len);
}

/* message() - Begin a message; if @type is 0, it is BOOTP with the DHCP
 * cookie */
static void message(struct client *c, uint8_t type)
{
	struct dhcp_hdr h = { .op = 1, .htype = 1, .hlen = 6,
			      .xid = htonl(0x12345678) };

	memcpy(h.chaddr, guest_mac, MAC_LEN);
	c->src = "0.0.0.0";
	c->dst = "255.255.255.255";
	c->m = (struct msgbuf){ .buf = c->buf, .size = sizeof(c->buf) };
	msgbuf_be16(&c->m, 68);
	msgbuf_be16(&c->m, 67);
	msgbuf_be32(&c->m, 0);
	c->h = (struct dhcp_hdr *)(c->buf + c->m.len);
	msgbuf_put(&c->m, &h, sizeof(h));
	msgbuf_put(&c->m, dhcp_cookie, 4);
	if (type)
		opt(c, 53, &type, 1);
}

/* post() - Send the message without appending the end option */
static void post(struct world *w, struct client *c)
{
	struct ip_hdr ip = { .src = addr(c->src), .dst = addr(c->dst),
			     .proto = IPPROTO_UDP };

	put_be16(c->buf + 4, (uint16_t)c->m.len);
	sends_ip(w, &ip, c->buf, c->m.len);
}

/* done() - Append the end option to the message, and send it */
static void done(struct world *w, struct client *c)
{
	msgbuf_u8(&c->m, 255);
	post(w, c);
}

/* find_option() - Find the option @code in the options from @p to @end; NULL if
 * there is none */
static const uint8_t *find_option(const uint8_t *p, const uint8_t *end,
				  uint8_t code, size_t *len)
{
	for (; p + 1 < end && *p != 255 && *p; p += 2 + p[1]) {
		if (*p != code)
			continue;
		*len = p[1];
		return p + 2;
	}
	*len = 0;
	return NULL;
}

/* given() - Find an option of the reply, also in the fields file and sname;
 * NULL if there is none */
static const uint8_t *given(const struct world *w, uint8_t code, size_t *len)
{
	const uint8_t *f, *o;
	size_t size;

	f = gets_nth(w, 0, &size);
	if (size < OPTIONS)
		return NULL;
	o = find_option(f + OPTIONS, f + size, 52, len);
	if (o && *len == 1 && *o == 3) {
		o = find_option(f + MSG + 108, f + MSG + 236, code, len);
		if (!o)
			o = find_option(f + MSG + 44, f + MSG + 108, code, len);
		if (o)
			return o;
	}
	return find_option(f + OPTIONS, f + size, code, len);
}

/* type_of() - Get the type of the only reply; 0 if there is not exactly one
 * reply, or if it has no type */
__attribute__((unused))
static uint8_t type_of(const struct world *w)
{
	const uint8_t *o;
	size_t len;

	o = given(w, 53, &len);
	return w->mem.nsent == 1 && len == 1 ? o[0] : 0;
}

static bool gives(const struct world *w, uint8_t code, const void *want,
		  size_t size)
{
	const uint8_t *o;
	size_t len;

	o = given(w, code, &len);
	return o && len == size && !memcmp(o, want, size);
}

/* lacks() - Whether there is a reply without this option */
__attribute__((unused))
static bool lacks(const struct world *w, uint8_t code)
{
	size_t len;

	return answered(w) && !given(w, code, &len);
}

/* order() - Write the codes of the reply's options, in order, with spaces
 * between */
static const char *order(const struct world *w, char buf[256])
{
	size_t size, at, n = 0;
	const uint8_t *f;

	buf[0] = '\0';
	f = gets_nth(w, 0, &size);
	for (at = OPTIONS; at < size; at += 2 + f[at + 1]) {
		n += (size_t)snprintf(buf + n, 256 - n, "%s%u", n ? " " : "",
				      f[at]);
		if (f[at] == 255 || n > 240)
			break;
	}
	return buf;
}

/* field() - Get 4 bytes at an offset of the reply's message */
__attribute__((unused))
static uint32_t field(const struct world *w, size_t at)
{
	const uint8_t *f;
	size_t len;

	f = gets_nth(w, 0, &len);
	return len >= MSG + at + 4 ? get_be32(f + MSG + at) : 0xdeadbeef;
}

/* nth_dst_is() - Whether the IP header of the reply with index @n has this
 * destination address */
__attribute__((unused))
static bool nth_dst_is(const struct world *w, unsigned int n, const char *s)
{
	struct in6_addr want = addr(s);
	const uint8_t *f;
	size_t len;

	f = gets_nth(w, n, &len);
	return len && !memcmp(f + L3 + 16, &want.s6_addr[12], 4);
}

__attribute__((unused))
static bool dst_is(const struct world *w, const char *s)
{
	return nth_dst_is(w, 0, s);
}

#define YIADDR	16
#define CIADDR	12

#endif /* TEST_UNIT_DHCP_H */

// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcp.c - A DHCP server with one lease (RFC 2131), for BOOTP clients as well
 * (RFC 951, RFC 1534).
 *
 * The server has no state. There is one guest and one address, so each reply
 * depends only on the request and on the lease.
 */
#include "answer/answer.h"
#include "answer/domain.h"
#include "log.h"

#define DHCP_SERVER	67
#define DHCP_CLIENT	68

#define BOOTREQUEST	1
#define BOOTREPLY	2
#define DHCP_BROADCAST	0x8000		/* bit of @flags, RFC 2131 2 */

/* Lengths of DHCP messages, bytes. DHCP_MAX_LEAST is for option 57, which gives
 * the length of the longest reply that a client takes. DHCP_MAX_LEAST includes
 * the IP and UDP headers (RFC 2131 2), and the other two lengths do not. */
#define DHCP_MAX	1472		/* longest request, and longest reply */
#define DHCP_MIN	300		/* shortest reply, for RFC 951 */
#define DHCP_IP_UDP	(IP4_HLEN + UDP_HLEN)
#define DHCP_MAX_LEAST	576		/* minimum and default of option 57 */
#define DHCP_SNAME_LEN	64
#define DHCP_FILE_LEN	128

enum dhcp_type {			/* RFC 2132 9.6 */
	DHCP_NONE	= 0,		/* a BOOTP message; or, as the type of
					 * a reply to DHCP: send no reply */
	DHCP_DISCOVER	= 1,
	DHCP_OFFER	= 2,
	DHCP_REQUEST	= 3,
	DHCP_DECLINE	= 4,
	DHCP_ACK	= 5,
	DHCP_NAK	= 6,
	DHCP_RELEASE	= 7,
	DHCP_INFORM	= 8,
};

static const char *const dhcp_name[] = {
	[DHCP_NONE]	= "BOOTP",
	[DHCP_DISCOVER]	= "DISCOVER",
	[DHCP_OFFER]	= "OFFER",
	[DHCP_REQUEST]	= "REQUEST",
	[DHCP_DECLINE]	= "DECLINE",
	[DHCP_ACK]	= "ACK",
	[DHCP_NAK]	= "NAK",
	[DHCP_RELEASE]	= "RELEASE",
	[DHCP_INFORM]	= "INFORM",
};

enum dhcp_option {			/* RFC 2132 unless noted */
	OPT_PAD		= 0,
	OPT_MASK	= 1,
	OPT_ROUTER	= 3,
	OPT_DNS		= 6,
	OPT_HOSTNAME	= 12,
	OPT_DOMAIN	= 15,
	OPT_MTU		= 26,
	OPT_ADDRESS	= 50,
	OPT_LEASE_TIME	= 51,
	OPT_OVERLOAD	= 52,
	OPT_TYPE	= 53,
	OPT_SERVER	= 54,
	OPT_ASKED	= 55,
	OPT_MAX_SIZE	= 57,
	OPT_T1		= 58,
	OPT_T2		= 59,
	OPT_RAPID	= 80,		/* RFC 4039 */
	OPT_FQDN	= 81,		/* RFC 4702 */
	OPT_SEARCH	= 119,		/* RFC 3397 */
	OPT_ROUTES	= 121,		/* RFC 3442 */
	OPT_END		= 255,
};

#define OVERLOAD_FILE	1		/* RFC 2132 9.3 */
#define OVERLOAD_SNAME	2

#define FQDN_S		0x01		/* RFC 4702 2.1 */
#define FQDN_O		0x02
#define FQDN_E		0x04
#define FQDN_N		0x08
#define FQDN_RCODE	255		/* RFC 4702 2.2 */

/**
 * struct dhcp_hdr - The part of a message before its options. The names are
 *		those of RFC 2131 2. Integers are in network order
 */
struct dhcp_hdr {
	uint8_t op, htype, hlen, hops;
	uint32_t xid;
	uint16_t secs, flags;
	struct in_addr ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[16];
	uint8_t sname[DHCP_SNAME_LEN];
	uint8_t file[DHCP_FILE_LEN];
};

static const uint8_t dhcp_cookie[4] = { 99, 130, 83, 99 };

_Static_assert(sizeof(struct dhcp_hdr) == 236, "RFC 2131 2");

/**
 * struct dhcp_req - A client's message, parsed
 * @hdr:	the part before the options
 * @cookie:	the magic cookie comes after @hdr, so the message has options; a
 *		BOOTP message may have neither cookie nor options
 * @type:	option 53: type of the message; DHCP_NONE: it is BOOTP
 * @server:	option 54: address of the server that the client chose;
 *		0.0.0.0: absent
 * @address:	option 50: address that the client requests; 0.0.0.0: absent
 * @overload:	option 52: OVERLOAD_*; 0: absent
 * @size:	longest reply that the client takes, without IP and UDP headers,
 *		bytes
 * @rapid:	option 80, rapid commit, is present
 * @fqdn:	option 81, the client's domain name, is present
 * @fqdn_flags:	flags of option 81, FQDN_*
 * @asked:	codes in option 55: options that the client requests, without
 *		duplicates
 * @nasked:	number of codes in @asked
 * @want:	for each option code, whether it is in @asked
 * @all:	option 55 is absent, so the client gets all options
 */
struct dhcp_req {
	struct dhcp_hdr hdr;
	bool cookie;
	enum dhcp_type type;
	struct in_addr server, address;
	uint8_t overload;
	size_t size;
	bool rapid, fqdn;
	uint8_t fqdn_flags;
	uint8_t asked[256];
	unsigned int nasked;
	bool want[256];
	bool all;
};

/**
 * struct dhcp_reply - What a reply is made from
 * @l:		lease
 * @req:	request
 * @type:	type of the reply; DHCP_NONE: a BOOTP reply
 */
struct dhcp_reply {
	const struct lease *l;
	const struct dhcp_req *req;
	enum dhcp_type type;
};

/* dhcp_read_asked() - Read option 55, or one part of it if the option is split
 * (RFC 3396) */
static void dhcp_read_asked(struct dhcp_req *req, const uint8_t *codes,
			    size_t len)
{
	size_t i;

	req->all = false;
	for (i = 0; i < len; i++) {
		if (req->want[codes[i]])
			continue;
		req->want[codes[i]] = true;
		req->asked[req->nasked++] = codes[i];
	}
}

static bool dhcp_read_addr(struct in_addr *addr, const uint8_t *data,
			   size_t len)
{
	if (len != sizeof(*addr))
		return false;
	memcpy(addr, data, sizeof(*addr));
	return true;
}

static bool dhcp_read_type(struct dhcp_req *req, const uint8_t *data,
			   size_t len)
{
	if (len != 1 || !data[0] || data[0] > DHCP_INFORM)
		return false;
	req->type = data[0];
	return true;
}

/* dhcp_read_size() - Read option 57. Values below DHCP_MAX_LEAST count as
 * DHCP_MAX_LEAST, because all clients must accept messages of that length. */
static bool dhcp_read_size(struct dhcp_req *req, const uint8_t *data,
			   size_t len)
{
	if (len != 2)
		return false;
	req->size = MAX(get_be16(data), DHCP_MAX_LEAST) - DHCP_IP_UDP;
	req->size = MIN(req->size, DHCP_MAX);
	return true;
}

/* dhcp_read_fqdn() - Read the flags of option 81. The client's name is ignored:
 * the reply has the name of the lease. */
static bool dhcp_read_fqdn(struct dhcp_req *req, const uint8_t *data,
			   size_t len)
{
	if (len < 3)
		return false;
	req->fqdn = true;
	req->fqdn_flags = data[0];
	return true;
}

/* dhcp_read_option() - Read one option; false if its length or value is
 * invalid */
static bool dhcp_read_option(struct dhcp_req *req, uint8_t code,
			     const uint8_t *data, size_t len)
{
	switch (code) {
	case OPT_ADDRESS:
		return dhcp_read_addr(&req->address, data, len);
	case OPT_OVERLOAD:
		if (len == 1)
			req->overload |= data[0];
		return len == 1;
	case OPT_TYPE:
		return dhcp_read_type(req, data, len);
	case OPT_SERVER:
		return dhcp_read_addr(&req->server, data, len);
	case OPT_ASKED:
		dhcp_read_asked(req, data, len);
		return true;
	case OPT_MAX_SIZE:
		return dhcp_read_size(req, data, len);
	case OPT_RAPID:
		req->rapid = true;
		return !len;
	case OPT_FQDN:
		return dhcp_read_fqdn(req, data, len);
	default:
		return true;
	}
}

/* dhcp_read_options() - Read all options in a field of @left bytes (RFC 2132
 * 2); false if they are malformed */
static bool dhcp_read_options(struct dhcp_req *req, const uint8_t *p,
			      size_t left)
{
	size_t len;

	while (left && *p != OPT_END) {
		if (*p == OPT_PAD) {
			p++;
			left--;
			continue;
		}
		if (left < 2)
			return false;
		len = p[1];
		if (len > left - 2 || !dhcp_read_option(req, p[0], p + 2, len))
			return false;
		p += 2 + len;
		left -= 2 + len;
	}
	return true;
}

/* dhcp_put_mask_first() - Reorder the requested options so that the mask comes
 * before the router, as it must in a reply (RFC 2132 3.3) */
static void dhcp_put_mask_first(struct dhcp_req *req)
{
	uint8_t *router = memchr(req->asked, OPT_ROUTER, req->nasked);
	uint8_t *mask = memchr(req->asked, OPT_MASK, req->nasked);

	if (router && mask && router < mask) {
		*router = OPT_MASK;
		*mask = OPT_ROUTER;
	}
}

/* dhcp_parse() - Parse a UDP payload as a request; false if it is not a valid
 * request */
static bool dhcp_parse(struct dhcp_req *req, const uint8_t *msg, size_t len)
{
	const size_t hlen = sizeof(req->hdr), olen = sizeof(dhcp_cookie);
	struct dhcp_hdr *h = &req->hdr;

	if (len < hlen)
		return false;

	*req = (struct dhcp_req){ .all = true };
	req->size = DHCP_MAX_LEAST - DHCP_IP_UDP;
	memcpy(h, msg, hlen);
	if (h->op != BOOTREQUEST || h->hlen > sizeof(h->chaddr))
		return false;

	req->cookie = len >= hlen + olen &&
		      !memcmp(msg + hlen, dhcp_cookie, olen);
	if (!req->cookie)
		return true;
	if (!dhcp_read_options(req, msg + hlen + olen, len - hlen - olen))
		return false;

	/* RFC 2131 4.1: @file comes before @sname. */
	if (req->overload & OVERLOAD_FILE &&
	    !dhcp_read_options(req, h->file, sizeof(h->file)))
		return false;
	if (req->overload & OVERLOAD_SNAME &&
	    !dhcp_read_options(req, h->sname, sizeof(h->sname)))
		return false;
	dhcp_put_mask_first(req);
	return true;
}

/*
 * dhcp_is_server() - Whether an address is that of our server
 *
 * Our address is the router's address. If this has changed, the old address
 * still counts as ours: a client sends its requests to the old address until
 * T2, and learns the new one from the next ACK or NAK.
 */
static bool dhcp_is_server(const struct answer *a, const struct in6_addr *addr)
{
	return addr_eq(addr, &a->lease->router[IP4]) ||
	       past_has(&a->past.server, addr);
}

/*
 * dhcp_check_request() - Choose the type of the reply to REQUEST (RFC 2131
 *		4.3.2)
 *
 * A client in state SELECTING names the server whose offer it accepts. If the
 * client names another server, there is no reply. A client requests its address
 * in option 50 in the states SELECTING and INIT-REBOOT, and in ciaddr in
 * RENEWING and REBINDING. In every state, this server refuses an address that
 * is not in the lease, because it gives clients no other address.
 */
static enum dhcp_type dhcp_check_request(const struct answer *a,
					 const struct dhcp_req *req)
{
	struct in6_addr server = addr_from_v4(req->server);
	struct in_addr ours = addr_v4(&a->lease->addr[IP4]);
	struct in_addr wanted = req->address;

	if (req->server.s_addr && !dhcp_is_server(a, &server))
		return DHCP_NONE;
	if (!wanted.s_addr)
		wanted = req->hdr.ciaddr;
	return wanted.s_addr == ours.s_addr ? DHCP_ACK : DHCP_NAK;
}

/* dhcp_choose_reply() - Choose the type of the reply. DHCP_NONE means a BOOTP
 * reply if the request is BOOTP, and no reply if it is DHCP. */
static enum dhcp_type dhcp_choose_reply(const struct answer *a,
					const struct dhcp_req *req)
{
	switch (req->type) {
	case DHCP_DISCOVER:
		return req->rapid ? DHCP_ACK : DHCP_OFFER;
	case DHCP_REQUEST:
		return dhcp_check_request(a, req);
	case DHCP_INFORM:
		return req->hdr.ciaddr.s_addr ? DHCP_ACK : DHCP_NONE;
	case DHCP_NONE:
	case DHCP_DECLINE:
	case DHCP_RELEASE:
	case DHCP_OFFER:
	case DHCP_ACK:
	case DHCP_NAK:
		return DHCP_NONE;
	}
	return DHCP_NONE;
}

/* dhcp_gives_address() - Whether a reply gives the client its address */
static bool dhcp_gives_address(const struct dhcp_reply *r)
{
	return r->type != DHCP_NAK && r->req->type != DHCP_INFORM;
}

/* dhcp_gives_lease() - Whether a reply gives the client its address with a
 * lease time, which BOOTP does not have */
static bool dhcp_gives_lease(const struct dhcp_reply *r)
{
	return r->type != DHCP_NONE && dhcp_gives_address(r);
}

/* Each dhcp_fill_*() appends the value of one option to @w, or nothing if the
 * reply should not have the option. */

static void dhcp_fill_mask(struct msgbuf *w, const struct dhcp_reply *r)
{
	unsigned int len = MIN(r->l->len[IP4], 32);

	msgbuf_be32(w, len ? ~0U << (32 - len) : 0);
}

/* dhcp_needs_routes() - Whether the router is outside the guest's prefix */
static bool dhcp_needs_routes(const struct lease *l)
{
	return !addr_in_prefix(&l->router[IP4], &l->addr[IP4], l->len[IP4]);
}

/* dhcp_fill_router() - Append the router (option 3). If the reply also has
 * option 121, a client that knows option 121 ignores option 3 (RFC 3442) */
static void dhcp_fill_router(struct msgbuf *w, const struct dhcp_reply *r)
{
	msgbuf_addr4(w, &r->l->router[IP4]);
}

/* dhcp_fill_routes() - If the router is outside the guest's prefix, append a
 * route that says that the router is on the link, and a default route through
 * the router */
static void dhcp_fill_routes(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (!dhcp_needs_routes(r->l))
		return;
	msgbuf_u8(w, 32);
	msgbuf_addr4(w, &r->l->router[IP4]);
	msgbuf_be32(w, INADDR_ANY);
	msgbuf_u8(w, 0);
	msgbuf_addr4(w, &r->l->router[IP4]);
}

static void dhcp_fill_dns(struct msgbuf *w, const struct dhcp_reply *r)
{
	const struct in6_addr *dns = r->l->dns[IP4];
	unsigned int i;

	if (!r->l->dhcp_dns)
		return;
	for (i = 0; i < LEASE_DNS && !addr_is_none(&dns[i]); i++)
		msgbuf_addr4(w, &dns[i]);
}

static void dhcp_fill_hostname(struct msgbuf *w, const struct dhcp_reply *r)
{
	msgbuf_put(w, r->l->hostname, strlen(r->l->hostname));
}

/* dhcp_fill_domain() - Append the first name of the search list */
static void dhcp_fill_domain(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->dhcp_search)
		msgbuf_put(w, r->l->search, domain_first_len(r->l->search));
}

static void dhcp_fill_search(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->dhcp_search)
		domain_list_put_compressed(w, r->l->search);
}

static void dhcp_fill_mtu(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->mtu)
		msgbuf_be16(w, (uint16_t)MIN(r->l->mtu, UINT16_MAX));
}

/* dhcp_fill_timer() - Append T1 or T2, whichever the client has requested, if
 * the lease is infinite: T1 and T2 are infinite, too. For other leases,
 * dhcp_put_times() appends them */
static void dhcp_fill_timer(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (dhcp_gives_lease(r) && r->l->time == LEASE_INFINITE && !r->req->all)
		msgbuf_be32(w, LEASE_INFINITE);
}

/*
 * dhcp_fill_fqdn() - Append flags and name of option 81 (RFC 4702 4), if the
 * client sent or requested the option
 *
 * This server does not update DNS: the flag N is set, S is not set, and O is
 * set if the client has set S. If the client sent its name in ASCII, which is
 * deprecated, the reply has the name in ASCII, too (RFC 4702 2.3.1).
 */
static void dhcp_fill_fqdn(struct msgbuf *w, const struct dhcp_reply *r)
{
	bool labels = !r->req->fqdn || r->req->fqdn_flags & FQDN_E;
	uint8_t flags = FQDN_N;

	if (!*r->l->fqdn || (!r->req->fqdn && !r->req->want[OPT_FQDN]))
		return;
	if (labels)
		flags |= FQDN_E;
	if (r->req->fqdn_flags & FQDN_S)
		flags |= FQDN_O;

	msgbuf_u8(w, flags);
	msgbuf_u8(w, FQDN_RCODE);
	msgbuf_u8(w, FQDN_RCODE);
	if (labels)
		domain_put(w, r->l->fqdn);
	else
		msgbuf_put(w, r->l->fqdn, strlen(r->l->fqdn));
}

/* Options that a client may request. The options that a guest needs most come
 * first: if a reply has no space for all options, the last ones are left out. A
 * client that did not send option 55 gets all of them, in this order. */
static const struct {
	enum dhcp_option code;
	void (*put)(struct msgbuf *w, const struct dhcp_reply *r);
} dhcp_value[] = {
	{ OPT_MASK,	dhcp_fill_mask },
	{ OPT_ROUTER,	dhcp_fill_router },
	{ OPT_ROUTES,	dhcp_fill_routes },
	{ OPT_DNS,	dhcp_fill_dns },
	{ OPT_MTU,	dhcp_fill_mtu },
	{ OPT_T1,	dhcp_fill_timer },
	{ OPT_T2,	dhcp_fill_timer },
	{ OPT_HOSTNAME,	dhcp_fill_hostname },
	{ OPT_DOMAIN,	dhcp_fill_domain },
	{ OPT_FQDN,	dhcp_fill_fqdn },
	{ OPT_SEARCH,	dhcp_fill_search },
};

#define DHCP_VALUES	ARRAY_SIZE(dhcp_value)

/* Fields of a message that can hold options, the smallest first (RFC 2131
 * 4.1). */
enum dhcp_field {
	FIELD_SNAME,
	FIELD_FILE,
	FIELD_OPTIONS,
	DHCP_FIELDS,			/* no field */
};

/**
 * struct dhcp_layout - The options that a reply has, and the field that each of
 * them is placed in
 * @order:	indexes in dhcp_value of the options that the client wants, in
 *		the order in which the client requests them
 * @n:		number of indexes in @order
 * @value, @len: value of each option in dhcp_value, and its length in bytes; 0:
 *		the reply does not have the option
 * @field:	field that each option in dhcp_value is placed in
 */
struct dhcp_layout {
	size_t order[DHCP_VALUES], n;
	uint8_t value[DHCP_VALUES][2 * LEASE_SEARCH];
	size_t len[DHCP_VALUES];
	enum dhcp_field field[DHCP_VALUES];
};

/* dhcp_option_size() - Return the bytes of an option with a value of @len
 * bytes; a value above 255 bytes is split (RFC 3396) */
static size_t dhcp_option_size(size_t len)
{
	return len + 2 * ((len + 254) / 255);
}

/* dhcp_put_option() - Append an option, which may have an empty value */
static void dhcp_put_option(struct msgbuf *w, enum dhcp_option code,
			    const uint8_t *data, size_t len)
{
	size_t n;

	do {
		n = MIN(len, 255);
		msgbuf_u8(w, (uint8_t)code);
		msgbuf_u8(w, (uint8_t)n);
		msgbuf_put(w, data, n);
		data += n;
		len -= n;
	} while (len);
}

/* dhcp_add_value() - Add an option to the layout, if this server knows the
 * option (dhcp_value). The option's length is 0 if there is no value for it */
static void dhcp_add_value(struct dhcp_layout *l, uint8_t code,
			   const struct dhcp_reply *r)
{
	struct msgbuf w;
	size_t i;

	for (i = 0; i < DHCP_VALUES; i++) {
		if (dhcp_value[i].code != code)
			continue;
		w = (struct msgbuf){
			.buf = l->value[i], .size = sizeof(l->value[i]),
		};
		dhcp_value[i].put(&w, r);
		l->len[i] = w.len;
		l->order[l->n++] = i;
	}
}

/* dhcp_add_values() - Add the options that the client wants: those of option
 * 55, in the client's order, or all options if option 55 is absent. Option 81
 * is added whenever the client has sent it */
static void dhcp_add_values(struct dhcp_layout *l, const struct dhcp_reply *r)
{
	const struct dhcp_req *req = r->req;
	size_t i;

	for (i = 0; i < req->nasked; i++)
		dhcp_add_value(l, req->asked[i], r);
	for (i = 0; i < DHCP_VALUES && req->all; i++)
		dhcp_add_value(l, (uint8_t)dhcp_value[i].code, r);
	if (req->fqdn && !req->all && !req->want[OPT_FQDN])
		dhcp_add_value(l, OPT_FQDN, r);
}

/**
 * dhcp_place() - Choose a field for each option
 * @l:		options; the function sets @l->field
 * @space:	bytes that the options field has left
 * @overload:	the client knows option 52
 *
 * If all options fit in the options field, they go there. Otherwise each goes
 * to the smallest field that has space for it, so that the larger fields are
 * free for long options. No option is divided between two fields, because many
 * clients do not join the parts.
 *
 * Return: true if the reply needs option 52; this function has then reserved
 *	   space for it in the options field
 */
static bool dhcp_place(struct dhcp_layout *l, size_t space, bool overload)
{
	size_t left[DHCP_FIELDS] = { [FIELD_OPTIONS] = space };
	enum dhcp_field f;
	size_t size = 0, i;

	for (i = 0; i < DHCP_VALUES; i++) {
		l->field[i] = FIELD_OPTIONS;
		size += dhcp_option_size(l->len[i]);
	}
	if (size <= space)
		return false;

	if (overload) {
		left[FIELD_SNAME] = DHCP_SNAME_LEN - 1;
		left[FIELD_FILE] = DHCP_FILE_LEN - 1;
		left[FIELD_OPTIONS] -= MIN(space, dhcp_option_size(1));
	}
	for (i = 0; i < DHCP_VALUES; i++) {
		size = dhcp_option_size(l->len[i]);
		for (f = FIELD_SNAME; f < DHCP_FIELDS && left[f] < size; f++)
			;
		l->field[i] = f;
		if (f < DHCP_FIELDS)
			left[f] -= size;
	}
	return overload;
}

/* dhcp_put_field() - Append the options that were placed in one field, in the
 * client's order, and an end option */
static void dhcp_put_field(struct msgbuf *w, const struct dhcp_layout *l,
			   enum dhcp_field field)
{
	size_t i, n;

	for (n = 0; n < l->n; n++) {
		i = l->order[n];
		if (l->len[i] && l->field[i] == field)
			dhcp_put_option(w, dhcp_value[i].code, l->value[i],
					l->len[i]);
	}
	msgbuf_u8(w, OPT_END);
}

/* dhcp_put_overload() - Append option 52, and write options to the fields @file
 * and @sname of the message's header (RFC 2132 9.3) */
static void dhcp_put_overload(struct msgbuf *w, const struct dhcp_layout *l)
{
	static const uint8_t both = OVERLOAD_FILE | OVERLOAD_SNAME;
	uint8_t *hdr = w->buf + UDP_HLEN;
	struct msgbuf sname = {
		.buf = hdr + offsetof(struct dhcp_hdr, sname),
		.size = DHCP_SNAME_LEN,
	};
	struct msgbuf file = {
		.buf = hdr + offsetof(struct dhcp_hdr, file),
		.size = DHCP_FILE_LEN,
	};

	dhcp_put_option(w, OPT_OVERLOAD, &both, sizeof(both));
	dhcp_put_field(&file, l, FIELD_FILE);
	dhcp_put_field(&sname, l, FIELD_SNAME);
}

/* dhcp_put_time() - Append an option whose value is a number of seconds */
static void dhcp_put_time(struct msgbuf *w, enum dhcp_option code,
			  uint32_t seconds)
{
	uint8_t be[4];

	put_be32(be, seconds);
	dhcp_put_option(w, code, be, sizeof(be));
}

/*
 * dhcp_put_times() - Append the lease time, and T1 and T2 unless the lease is
 *		infinite
 *
 * Many clients do not request T1 and T2, but obey them. Without T1, a client
 * would wait for half of the lease time before it learns that the lease has
 * changed.
 */
static void dhcp_put_times(struct msgbuf *w, const struct lease *l)
{
	dhcp_put_time(w, OPT_LEASE_TIME, l->time);
	if (l->time == LEASE_INFINITE)
		return;
	dhcp_put_time(w, OPT_T1, lease_t1(l));
	dhcp_put_time(w, OPT_T2, lease_t2(l));
}

/* dhcp_put_required() - Append options that a reply must have (RFC 2131 table
 * 3) */
static void dhcp_put_required(struct msgbuf *w, const struct dhcp_reply *r)
{
	struct in_addr server = addr_v4(&r->l->router[IP4]);
	uint8_t type = (uint8_t)r->type;

	if (r->type == DHCP_NONE)
		return;
	/* A client ignores a NAK whose option 54 differs from that of its
	 * request. The request may name an earlier address of our server. */
	if (r->type == DHCP_NAK && r->req->server.s_addr)
		server = r->req->server;
	dhcp_put_option(w, OPT_TYPE, &type, sizeof(type));
	dhcp_put_option(w, OPT_SERVER, (uint8_t *)&server, sizeof(server));
	if (dhcp_gives_lease(r))
		dhcp_put_times(w, r->l);
	if (r->type == DHCP_ACK && r->req->type == DHCP_DISCOVER)
		dhcp_put_option(w, OPT_RAPID, &type, 0);	/* empty */
}

/* dhcp_put_options() - Append all options. A BOOTP client does not know option
 * 52, so its reply has only the options that fit in the options field. */
static void dhcp_put_options(struct msgbuf *w, const struct dhcp_reply *r)
{
	struct dhcp_layout l = { .n = 0 };

	msgbuf_put(w, dhcp_cookie, sizeof(dhcp_cookie));
	dhcp_put_required(w, r);
	if (r->type != DHCP_NAK)
		dhcp_add_values(&l, r);
	if (dhcp_place(&l, w->size - w->len - 1, r->type != DHCP_NONE))
		dhcp_put_overload(w, &l);
	dhcp_put_field(w, &l, FIELD_OPTIONS);
}

/* dhcp_put_hdr() - Append the part before the options (RFC 2131 table 3) */
static void dhcp_put_hdr(struct msgbuf *w, const struct dhcp_reply *r)
{
	const struct dhcp_hdr *in = &r->req->hdr;
	struct dhcp_hdr h = {
		.op = BOOTREPLY, .htype = in->htype, .hlen = in->hlen,
		.xid = in->xid, .flags = in->flags, .giaddr = in->giaddr,
	};

	memcpy(h.chaddr, in->chaddr, sizeof(h.chaddr));
	if (r->type == DHCP_ACK || r->type == DHCP_NONE)
		h.ciaddr = in->ciaddr;
	if (dhcp_gives_address(r))
		h.yiaddr = addr_v4(&r->l->addr[IP4]);
	msgbuf_put(w, &h, sizeof(h));
}

/* dhcp_pick_dest() - Choose the destination address of a reply (RFC 2131 4.1).
 * @giaddr is ignored, because this link has no relay agents. */
static struct in6_addr dhcp_pick_dest(const struct dhcp_reply *r)
{
	const struct dhcp_hdr *h = &r->req->hdr;
	struct in_addr broadcast = { htonl(INADDR_BROADCAST) };

	if (r->type == DHCP_NAK)
		return addr_from_v4(broadcast);
	if (h->ciaddr.s_addr)
		return addr_from_v4(h->ciaddr);
	if (h->flags & htons(DHCP_BROADCAST))
		return addr_from_v4(broadcast);
	return r->l->addr[IP4];
}

/* dhcp_reply_max() - Return how many bytes a reply to this client may have. The
 * client need not accept a packet that is longer than its MTU, but must accept
 * DHCP_MAX_LEAST bytes (RFC 2131 2). */
static size_t dhcp_reply_max(const struct answer *a, const struct dhcp_reply *r)
{
	size_t mtu = MAX(tap_mtu(a->tap), DHCP_MAX_LEAST);

	if (r->type == DHCP_NONE)
		return DHCP_MIN;
	return MIN(r->req->size, mtu - DHCP_IP_UDP);
}

static void dhcp_send_reply(struct answer *a, const struct dhcp_reply *r,
			    struct in6_addr dst, const uint8_t *dmac)
{
	struct ip_hdr ip = { .src = r->l->router[IP4], .dst = dst };
	const size_t least = UDP_HLEN + DHCP_MIN;
	uint8_t buf[UDP_HLEN + DHCP_MAX];
	struct msgbuf w;

	answer_udp_init(&w, buf, UDP_HLEN + dhcp_reply_max(a, r));
	dhcp_put_hdr(&w, r);
	if (r->req->cookie)
		dhcp_put_options(&w, r);
	if (w.len < least)
		msgbuf_zero(&w, least - w.len);
	answer_udp_send(a, &ip, dmac, DHCP_SERVER, DHCP_CLIENT, &w);
}

/*
 * dhcp_send_replies() - Send the reply to the request in @pkt
 *
 * NAK is broadcast (RFC 2131 4.1). But while systemd-networkd and dhcpcd renew
 * a lease, they only receive what is sent to their own address. They would use
 * the wrong address until T2. So a client that renews its lease, which it does
 * by unicast, gets NAK at its address, too.
 */
static void dhcp_send_replies(struct answer *a, const struct dhcp_reply *r,
			      const struct pkt *pkt)
{
	struct in6_addr client = addr_from_v4(r->req->hdr.ciaddr);

	dhcp_send_reply(a, r, dhcp_pick_dest(r), pkt->smac);
	if (r->type == DHCP_NAK && addr_is_unicast(&pkt->dst) &&
	    addr_is_unicast(&client))
		dhcp_send_reply(a, r, client, pkt->smac);
}

static void dhcp_log_request(const struct dhcp_req *req, enum dhcp_type reply)
{
	char mac[MAC_STRLEN];
	const char *to = reply == DHCP_NONE && req->type != DHCP_NONE ?
			 "no reply" : dhcp_name[reply];

	LOG_LIMITED(LOG_INFO, "DHCP: %s from %s, %s", dhcp_name[req->type],
		    mac_str(req->hdr.chaddr, mac), to);
}

/* dhcp_is_for_us() - Whether a packet is sent to the server's port, at our
 * address or at the broadcast address */
static bool dhcp_is_for_us(const struct answer *a, const struct pkt *pkt)
{
	struct in_addr broadcast = { htonl(INADDR_BROADCAST) };
	struct in6_addr all = addr_from_v4(broadcast);

	return pkt->proto == IPPROTO_UDP && pkt->dport == DHCP_SERVER &&
	       (addr_eq(&pkt->dst, &all) || dhcp_is_server(a, &pkt->dst));
}

/* answer_dhcp() - Answer a message to our DHCP server, if it is valid */
static void answer_dhcp(struct answer *a, const struct pkt *pkt)
{
	struct dhcp_reply r = { .l = a->lease };
	uint8_t msg[DHCP_MAX];
	struct dhcp_req req;
	size_t len;

	if (pkt->len > sizeof(msg))
		return;
	len = pkt_copy(pkt, msg, sizeof(msg));
	if (!dhcp_parse(&req, msg, len))
		return;

	r.req = &req;
	r.type = dhcp_choose_reply(a, &req);
	dhcp_log_request(&req, r.type);
	if (req.type == DHCP_RELEASE || req.type == DHCP_DECLINE)
		tap_gave_back(a->tap, &a->lease->addr[IP4], pkt->smac);
	if (r.type != DHCP_NONE || req.type == DHCP_NONE)
		dhcp_send_replies(a, &r, pkt);
}

/**
 * dhcp_from_guest() - Answer a DHCP or BOOTP message
 * @a:		state of the services
 * @pkt:	UDP packet
 *
 * Return: true if @pkt is for our DHCP server, even if the server does not
 *	   answer it; false if it is not, or if the server is switched off
 */
bool dhcp_from_guest(struct answer *a, const struct pkt *pkt)
{
	if (!a->lease->dhcp || !addr_is_v4(&a->lease->addr[IP4]) ||
	    !addr_is_v4(&a->lease->router[IP4]) ||
	    !dhcp_is_for_us(a, pkt))
		return false;
	answer_dhcp(a, pkt);
	return true;
}

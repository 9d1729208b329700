// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcp.c - A DHCP server with one lease (RFC 2131), which BOOTP clients get as
 * well (RFC 951, 1534). Called by passt.c; calls tap_ip_send().
 *
 * Nothing is remembered: there is one guest and one address, so every request
 * can be decided from the lease and the message alone.
 */
#include "answer/answer.h"
#include "answer/domain.h"
#include "log.h"

#define DHCP_SERVER	67
#define DHCP_CLIENT	68

#define BOOTREQUEST	1
#define BOOTREPLY	2
#define DHCP_BROADCAST	0x8000		/* of the flags, RFC 2131 2 */

#define DHCP_MAX	1472		/* longest message either way, bytes */
#define DHCP_MIN	300		/* shortest that old clients take, RFC 951 */
#define DHCP_IP_UDP	(IP4_HLEN + UDP_HLEN)	/* part of option 57, RFC 2131 2 */
#define DHCP_MAX_LEAST	576		/* least and default value of option 57 */

/*
 * The lease lasts for ever: the address is the guest's as long as it is there,
 * and a guest that was paused or migrated should not find it expired. A change
 * on the host reaches it by other means.
 */
#define DHCP_INFINITE	0xffffffffU

enum dhcp_type {			/* RFC 2132 9.6 */
	DHCP_NONE	= 0,		/* BOOTP in, no reply out */
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

enum dhcp_option {			/* RFC 2132 but where it says so */
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
 * struct dhcp_hdr - What comes before the options (RFC 2131 2, whose names
 *		these are); integers in network order
 */
struct dhcp_hdr {
	uint8_t op, htype, hlen, hops;
	uint32_t xid;
	uint16_t secs, flags;
	struct in_addr ciaddr, yiaddr, siaddr, giaddr;
	uint8_t chaddr[16];
	uint8_t sname[64];
	uint8_t file[128];
};

static const uint8_t dhcp_cookie[4] = { 99, 130, 83, 99 };

_Static_assert(sizeof(struct dhcp_hdr) == 236, "RFC 2131 2");

/**
 * struct dhcp_req - A client's message, parsed
 * @hdr:	its fixed part
 * @cookie:	options follow; BOOTP clients may do without
 * @type:	DHCP_NONE: BOOTP
 * @server:	option 54, none: not given
 * @address:	option 50, likewise
 * @overload:	option 52
 * @size:	longest reply it takes, without IP and UDP headers, bytes
 * @rapid:	option 80 was given
 * @fqdn:	option 81 was given
 * @fqdn_flags:	its flags
 * @asked:	option 55, without what comes twice, @nasked entries
 * @want:	per option: it is in @asked
 * @all:	option 55 was not given
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
 * @type:	of the reply, DHCP_NONE: BOOTP
 */
struct dhcp_reply {
	const struct lease *l;
	const struct dhcp_req *req;
	enum dhcp_type type;
};

/* dhcp_read_asked() - Option 55; it may come in parts (RFC 3396) */
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

/* dhcp_read_size() - Option 57; never less than what all clients must take */
static bool dhcp_read_size(struct dhcp_req *req, const uint8_t *data,
			   size_t len)
{
	if (len != 2)
		return false;
	req->size = MAX(get_be16(data), DHCP_MAX_LEAST) - DHCP_IP_UDP;
	req->size = MIN(req->size, DHCP_MAX);
	return true;
}

/* dhcp_read_fqdn() - Option 81; the name itself doesn't matter, ours does */
static bool dhcp_read_fqdn(struct dhcp_req *req, const uint8_t *data,
			   size_t len)
{
	if (len < 3)
		return false;
	req->fqdn = true;
	req->fqdn_flags = data[0];
	return true;
}

/**
 * dhcp_read_option() - Take an option of the client
 * @req:	where what it says goes
 * @code:	which
 * @data:	what it says
 * @len:	bytes of it
 *
 * Return: false if it can't have this length or value
 */
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

/**
 * dhcp_read_options() - Take the options of one field (RFC 2132 2)
 * @req:	where what they say goes
 * @p:		the field
 * @left:	its length, bytes
 *
 * Return: false if one is not right or reaches beyond the field
 */
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

/* mask_first() - The mask comes before the router, RFC 2132 3.3 */
static void mask_first(struct dhcp_req *req)
{
	uint8_t *router = memchr(req->asked, OPT_ROUTER, req->nasked);
	uint8_t *mask = memchr(req->asked, OPT_MASK, req->nasked);

	if (router && mask && router < mask) {
		*router = OPT_MASK;
		*mask = OPT_ROUTER;
	}
}

/**
 * dhcp_parse() - Take a message apart
 * @req:	filled
 * @msg:	UDP payload
 * @len:	its length, bytes
 *
 * Return: false if it is not one that a client may send
 */
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

	/* The order of RFC 2131 4.1. */
	if (req->overload & OVERLOAD_FILE &&
	    !dhcp_read_options(req, h->file, sizeof(h->file)))
		return false;
	if (req->overload & OVERLOAD_SNAME &&
	    !dhcp_read_options(req, h->sname, sizeof(h->sname)))
		return false;
	mask_first(req);
	return true;
}

/**
 * dhcp_decide_request() - Decide about REQUEST (RFC 2131 4.3.2)
 * @l:		lease
 * @req:	the message
 *
 * SELECTING names a server: ours, or the client has taken another's offer.
 * INIT-REBOOT has an address in option 50, RENEWING and REBINDING in ciaddr.
 * We know every address on this link, so that one that is not in the lease is
 * refused in any state.
 *
 * Return: type of the reply, DHCP_NONE: silence
 */
static enum dhcp_type dhcp_decide_request(const struct lease *l,
					  const struct dhcp_req *req)
{
	struct in_addr server = addr_v4(&l->router[IP4]);
	struct in_addr ours = addr_v4(&l->addr[IP4]);
	struct in_addr wanted = req->address;

	if (req->server.s_addr && req->server.s_addr != server.s_addr)
		return DHCP_NONE;
	if (!wanted.s_addr)
		wanted = req->hdr.ciaddr;
	return wanted.s_addr == ours.s_addr ? DHCP_ACK : DHCP_NAK;
}

/**
 * dhcp_decide() - Decide about a message
 * @l:		lease
 * @req:	the message
 *
 * Return: type of the reply; DHCP_NONE: silence, or if the message is BOOTP,
 *	   BOOTP
 */
static enum dhcp_type dhcp_decide(const struct lease *l,
				  const struct dhcp_req *req)
{
	switch (req->type) {
	case DHCP_DISCOVER:
		return req->rapid ? DHCP_ACK : DHCP_OFFER;
	case DHCP_REQUEST:
		return dhcp_decide_request(l, req);
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

/* dhcp_gives_address() - Whether a reply hands the address out */
static bool dhcp_gives_address(const struct dhcp_reply *r)
{
	return r->type != DHCP_NAK && r->req->type != DHCP_INFORM;
}

/* dhcp_leases() - Whether it does so for a time: BOOTP does without one */
static bool dhcp_leases(const struct dhcp_reply *r)
{
	return r->type != DHCP_NONE && dhcp_gives_address(r);
}

/* dhcp_wants() - Whether the client asked for an option, or for none at all */
static bool dhcp_wants(const struct dhcp_reply *r, enum dhcp_option code)
{
	return r->req->all || r->req->want[code];
}

/*
 * Each of these puts the value of one option, and nothing if there is none.
 */

static void put_mask(struct msgbuf *w, const struct dhcp_reply *r)
{
	unsigned int len = MIN(r->l->len[IP4], 32);

	msgbuf_be32(w, len ? ~0U << (32 - len) : 0);
}

/* routes_needed() - The gateway is outside of the guest's own prefix */
static bool routes_needed(const struct lease *l)
{
	return !addr_in_prefix(&l->router[IP4], &l->addr[IP4], l->len[IP4]);
}

/* put_router() - Unless option 121 takes its place (RFC 3442) */
static void put_router(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (!routes_needed(r->l) || !dhcp_wants(r, OPT_ROUTES))
		msgbuf_addr4(w, &r->l->router[IP4]);
}

/* put_routes() - To the gateway on the link, and by it to everything */
static void put_routes(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (!routes_needed(r->l))
		return;
	msgbuf_u8(w, 32);
	msgbuf_addr4(w, &r->l->router[IP4]);
	msgbuf_be32(w, INADDR_ANY);
	msgbuf_u8(w, 0);
	msgbuf_addr4(w, &r->l->router[IP4]);
}

static void put_dns(struct msgbuf *w, const struct dhcp_reply *r)
{
	const struct in6_addr *dns = r->l->dns[IP4];
	unsigned int i;

	if (!r->l->dhcp_dns)
		return;
	for (i = 0; i < LEASE_DNS && !addr_is_none(&dns[i]); i++)
		msgbuf_addr4(w, &dns[i]);
}

static void put_hostname(struct msgbuf *w, const struct dhcp_reply *r)
{
	msgbuf_put(w, r->l->hostname, strlen(r->l->hostname));
}

/* put_domain() - The first of the search list */
static void put_domain(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->dhcp_search)
		msgbuf_put(w, r->l->search, domain_first(r->l->search));
}

static void put_search(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->dhcp_search)
		domain_list_put_compressed(w, r->l->search);
}

static void put_mtu(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (r->l->mtu)
		msgbuf_be16(w, (uint16_t)MIN(r->l->mtu, UINT16_MAX));
}

/* put_t() - T1 and T2 never come, which is worth saying only if asked for */
static void put_t(struct msgbuf *w, const struct dhcp_reply *r)
{
	if (dhcp_leases(r) && !r->req->all)
		msgbuf_be32(w, DHCP_INFINITE);
}

/**
 * put_fqdn() - The name, for a client that knows of this option (RFC 4702 4)
 *
 * We update no DNS: N is set, S is not, and O says so to who wanted S. The
 * name is in ASCII if the client's is (deprecated, 2.3.1).
 */
static void put_fqdn(struct msgbuf *w, const struct dhcp_reply *r)
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

/* What can be asked for, in the order for clients that do not. */
static const struct {
	enum dhcp_option code;
	void (*put)(struct msgbuf *w, const struct dhcp_reply *r);
} dhcp_value[] = {
	{ OPT_MASK,	put_mask },
	{ OPT_ROUTER,	put_router },
	{ OPT_ROUTES,	put_routes },
	{ OPT_DNS,	put_dns },
	{ OPT_MTU,	put_mtu },
	{ OPT_T1,	put_t },
	{ OPT_T2,	put_t },
	{ OPT_HOSTNAME,	put_hostname },
	{ OPT_DOMAIN,	put_domain },
	{ OPT_SEARCH,	put_search },
	{ OPT_FQDN,	put_fqdn },
};

/**
 * dhcp_put() - Put an option as a whole or, if there is no room, not at all
 * @w:		message
 * @code:	which
 * @data:	value
 * @len:	its length, bytes; above 255 it goes in parts (RFC 3396)
 */
static void dhcp_put(struct msgbuf *w, enum dhcp_option code,
		     const uint8_t *data, size_t len)
{
	size_t start = w->len, n;

	do {
		n = MIN(len, 255);
		msgbuf_u8(w, (uint8_t)code);
		msgbuf_u8(w, (uint8_t)n);
		msgbuf_put(w, data, n);
		data += n;
		len -= n;
	} while (len);

	if (w->full) {
		w->len = start;
		w->full = false;
	}
}

/* dhcp_put_code() - Put the option of this code, if we know it and have it */
static void dhcp_put_code(struct msgbuf *w, uint8_t code,
			  const struct dhcp_reply *r)
{
	uint8_t buf[2 * LEASE_SEARCH];
	struct msgbuf value = { .buf = buf, .size = sizeof(buf) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dhcp_value); i++) {
		if (dhcp_value[i].code == code)
			dhcp_value[i].put(&value, r);
	}
	if (value.len)
		dhcp_put(w, code, buf, value.len);
}

/* dhcp_put_asked() - Put what the client asked for, in its order */
static void dhcp_put_asked(struct msgbuf *w, const struct dhcp_reply *r)
{
	const struct dhcp_req *req = r->req;
	unsigned int i;

	for (i = 0; i < req->nasked; i++)
		dhcp_put_code(w, req->asked[i], r);
	if (req->fqdn && !req->want[OPT_FQDN])
		dhcp_put_code(w, OPT_FQDN, r);
}

static void dhcp_put_all(struct msgbuf *w, const struct dhcp_reply *r)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dhcp_value); i++)
		dhcp_put_code(w, (uint8_t)dhcp_value[i].code, r);
}

/* dhcp_put_must() - What makes it DHCP, and a lease (RFC 2131 table 3) */
static void dhcp_put_must(struct msgbuf *w, const struct dhcp_reply *r)
{
	static const uint8_t infinite[4] = { 0xff, 0xff, 0xff, 0xff };
	struct in_addr server = addr_v4(&r->l->router[IP4]);
	uint8_t type = (uint8_t)r->type;

	if (r->type == DHCP_NONE)
		return;
	dhcp_put(w, OPT_TYPE, &type, sizeof(type));
	dhcp_put(w, OPT_SERVER, (uint8_t *)&server, sizeof(server));
	if (dhcp_leases(r))
		dhcp_put(w, OPT_LEASE_TIME, infinite, sizeof(infinite));
	if (r->type == DHCP_ACK && r->req->type == DHCP_DISCOVER)
		dhcp_put(w, OPT_RAPID, &type, 0);	/* an empty one */
}

/**
 * dhcp_put_options() - Put all options, and the end
 * @w:		message, behind the fixed part
 * @r:		what it is made from
 */
static void dhcp_put_options(struct msgbuf *w, const struct dhcp_reply *r)
{
	w->size--;				/* for the end */
	msgbuf_put(w, dhcp_cookie, sizeof(dhcp_cookie));
	dhcp_put_must(w, r);
	if (r->type != DHCP_NAK) {
		if (r->req->all)
			dhcp_put_all(w, r);
		else
			dhcp_put_asked(w, r);
	}
	w->size++;
	msgbuf_u8(w, OPT_END);
}

/* dhcp_put_hdr() - The fixed part (RFC 2131 table 3) */
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

/**
 * dhcp_destination() - Where a reply goes (RFC 2131 4.1)
 * @r:		reply; relays are not a case on this link
 *
 * Return: mapped address
 */
static struct in6_addr dhcp_destination(const struct dhcp_reply *r)
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

/**
 * dhcp_reply() - Send a reply
 * @a:		state of the services
 * @r:		what it is made from
 */
static void dhcp_reply(struct answer *a, const struct dhcp_reply *r)
{
	struct ip_hdr ip = {
		.src = r->l->router[IP4], .dst = dhcp_destination(r),
	};
	size_t size = r->type == DHCP_NONE ? DHCP_MIN : r->req->size;
	const size_t least = UDP_HLEN + DHCP_MIN;
	uint8_t buf[UDP_HLEN + DHCP_MAX];
	struct msgbuf w;

	answer_udp_init(&w, buf, UDP_HLEN + size);
	dhcp_put_hdr(&w, r);
	if (r->req->cookie)
		dhcp_put_options(&w, r);
	if (w.len < least)
		msgbuf_zero(&w, least - w.len);
	answer_udp_send(a, &ip, DHCP_SERVER, DHCP_CLIENT, &w);
}

static void dhcp_log(const struct dhcp_req *req, enum dhcp_type reply)
{
	char mac[MAC_STRLEN];
	const char *to = reply == DHCP_NONE && req->type != DHCP_NONE ?
			 "no reply" : dhcp_name[reply];

	LOG_LIMITED(LOG_INFO, "DHCP: %s from %s, %s", dhcp_name[req->type],
		    mac_str(req->hdr.chaddr, mac), to);
}

/**
 * dhcp_for_us() - Whether a packet is for our server
 * @l:		lease
 * @pkt:	the packet
 *
 * Return: true if it goes to the server's port, at our address or at all
 */
static bool dhcp_for_us(const struct lease *l, const struct pkt *pkt)
{
	struct in_addr broadcast = { htonl(INADDR_BROADCAST) };
	struct in6_addr all = addr_from_v4(broadcast);

	return pkt->proto == IPPROTO_UDP && pkt->dport == DHCP_SERVER &&
	       (addr_eq(&pkt->dst, &all) ||
		addr_eq(&pkt->dst, &l->router[IP4]));
}

/**
 * dhcp_from_guest() - Take a UDP packet from the guest
 * @a:		state of the services
 * @pkt:	the packet
 *
 * Return: false if it is not for the DHCP server, or there is none
 */
bool dhcp_from_guest(struct answer *a, const struct pkt *pkt)
{
	struct dhcp_reply r = { .l = a->lease };
	uint8_t msg[DHCP_MAX];
	struct dhcp_req req;

	if (!a->lease->dhcp || !addr_is_v4(&a->lease->addr[IP4]) ||
	    !addr_is_v4(&a->lease->router[IP4]) || !dhcp_for_us(a->lease, pkt))
		return false;
	if (pkt->len > sizeof(msg) ||
	    !dhcp_parse(&req, msg, pkt_copy(pkt, msg, sizeof(msg))))
		return true;

	r.req = &req;
	r.type = dhcp_decide(a->lease, &req);
	dhcp_log(&req, r.type);
	if (r.type != DHCP_NONE || req.type == DHCP_NONE)
		dhcp_reply(a, &r);
	return true;
}

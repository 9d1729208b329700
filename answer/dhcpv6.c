// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * dhcpv6.c - A DHCPv6 server for one guest (RFC 8415).
 *
 * The server has no state: there is one guest, and its addresses are known. The
 * first IA_NA (identity association for non-temporary addresses) of a message
 * gets all these addresses. All other identity associations, including those
 * for temporary addresses or delegated prefixes, are refused with a status.
 */
#include "answer/answer.h"
#include "answer/domain.h"
#include "log.h"

#define DHCP6_SERVER	547
#define DHCP6_CLIENT	546

#define DHCP6_IN_MAX	1472	/* bytes of the longest request */
#define DHCP6_OUT_MAX	(IP6_MTU_MIN - IP6_HLEN - UDP_HLEN)

enum dhcp6_type {		/* RFC 8415 7.3 */
	DHCP6_SOLICIT		= 1,
	DHCP6_ADVERTISE		= 2,
	DHCP6_REQUEST		= 3,
	DHCP6_CONFIRM		= 4,
	DHCP6_RENEW		= 5,
	DHCP6_REBIND		= 6,
	DHCP6_REPLY		= 7,
	DHCP6_RELEASE		= 8,
	DHCP6_DECLINE		= 9,
	DHCP6_INFORMATION	= 11,
};

static const char *const dhcp6_name[] = {
	[DHCP6_SOLICIT]		= "SOLICIT",
	[DHCP6_REQUEST]		= "REQUEST",
	[DHCP6_CONFIRM]		= "CONFIRM",
	[DHCP6_RENEW]		= "RENEW",
	[DHCP6_REBIND]		= "REBIND",
	[DHCP6_RELEASE]		= "RELEASE",
	[DHCP6_DECLINE]		= "DECLINE",
	[DHCP6_INFORMATION]	= "INFORMATION-REQUEST",
};

enum dhcp6_option {		/* RFC 8415 21 unless noted */
	OPT6_CLIENTID		= 1,
	OPT6_SERVERID		= 2,
	OPT6_IA_NA		= 3,
	OPT6_IA_TA		= 4,
	OPT6_IAADDR		= 5,
	OPT6_ORO		= 6,
	OPT6_PREFERENCE		= 7,
	OPT6_STATUS		= 13,
	OPT6_RAPID		= 14,
	OPT6_DNS		= 23,	/* RFC 3646 */
	OPT6_SEARCH		= 24,	/* RFC 3646 */
	OPT6_IA_PD		= 25,
	OPT6_REFRESH		= 32,
	OPT6_FQDN		= 39,	/* RFC 4704 */
	OPT6_SOL_MAX		= 82,
};

enum dhcp6_status {		/* RFC 8415 21.13 */
	STATUS_SUCCESS		= 0,
	STATUS_NO_ADDRS		= 2,
	STATUS_NO_BINDING	= 3,
	STATUS_NOT_ON_LINK	= 4,
	STATUS_NO_PREFIX	= 6,
};

#define REFRESH_TIME		600U	/* s: IRT_MINIMUM, RFC 8415 7.6 */
#define SOL_MAX_TIME		60U	/* s: the minimum of RFC 8415 21.24 */

#define DUID_LL			3	/* RFC 8415 11.4 */
#define DUID_HW_ETHERNET	1
#define DUID_LL_LEN		(4 + MAC_LEN)
#define DUID_MIN		3	/* bytes, with type: RFC 8415 11.1 */
#define DUID_MAX		130

#define FQDN6_S			0x01	/* RFC 4704 4.1 */
#define FQDN6_O			0x02
#define FQDN6_N			0x04

static const struct in6_addr all_agents = {	/* RFC 8415 7.1 */
	.s6_addr = { 0xff, 2, [13] = 1, [15] = 2 }
};

/**
 * struct opt6 - An option in a message
 * @code:	enum dhcp6_option, or a code that we do not know
 * @data:	value of the option: a pointer into the message
 * @len:	bytes of @data
 */
struct opt6 {
	uint16_t code, len;
	const uint8_t *data;
};

/**
 * struct opts6 - Iterates over options
 * @p:		next option to read
 * @left:	bytes of options from @p on
 */
struct opts6 {
	const uint8_t *p;
	size_t left;
};

/**
 * struct dhcp6_req - A client's message, parsed
 * @type:	enum dhcp6_type, or a type that we do not know
 * @xid:	transaction ID, 3 bytes
 * @options:	all options, whose lengths were checked
 * @client:	DUID of the client; its @len is 0 if absent
 * @server:	DUID of the server that the client names; its @len is 0 if
 *		absent
 * @oro:	codes of the options that the client requests; its @len is 0 if
 *		absent
 * @rapid:	the client accepts REPLY in answer to its SOLICIT (rapid commit)
 * @ia:		the message has at least one identity association (IA)
 * @fqdn:	the message has the client's domain name
 * @fqdn_flags:	flags of the client's domain name, FQDN6_*
 */
struct dhcp6_req {
	uint8_t type;
	const uint8_t *xid;
	struct opts6 options;
	struct opt6 client, server, oro;
	bool rapid, ia, fqdn;
	uint8_t fqdn_flags;
};

/**
 * struct dhcp6_reply - A reply being made
 * @l:		lease
 * @req:	request
 * @duid:	DUID of our server
 * @w:		the message
 * @bound:	an IA of the reply already has the addresses of the lease
 */
struct dhcp6_reply {
	const struct lease *l;
	const struct dhcp6_req *req;
	uint8_t duid[DUID_LL_LEN];
	struct msgbuf w;
	bool bound;
};

/* opt6_next() - Read the next option. Returns false if no option is left (then
 * @o->left is 0), or if the next option is truncated (then @o->left is not
 * 0) */
static bool opt6_next(struct opts6 *o, struct opt6 *opt)
{
	if (o->left < 4)
		return false;
	opt->code = get_be16(o->p);
	opt->len = get_be16(o->p + 2);
	if (opt->len > o->left - 4)
		return false;
	opt->data = o->p + 4;
	o->p += 4 + opt->len;
	o->left -= 4U + opt->len;
	return true;
}

/* ia_hlen() - Return the bytes of an IA before its options (RFC 8415 21.4,
 * 21.5, 21.21) */
static size_t ia_hlen(uint16_t code)
{
	return code == OPT6_IA_TA ? 4 : 12;
}

static bool is_ia_option(uint16_t code)
{
	return code == OPT6_IA_NA || code == OPT6_IA_TA || code == OPT6_IA_PD;
}

/* ia_options() - Begin to iterate over the options inside an IA. is_ia_valid()
 * has checked the lengths of these options */
static struct opts6 ia_options(const struct opt6 *ia)
{
	size_t hlen = ia_hlen(ia->code);

	return (struct opts6){ ia->data + hlen, ia->len - hlen };
}

/* ia_next_addr() - Read the next address in the options of an IA; false: no
 * address is left */
static bool ia_next_addr(struct opts6 *o, struct in6_addr *addr)
{
	struct opt6 opt;

	while (opt6_next(o, &opt)) {
		if (opt.code != OPT6_IAADDR)
			continue;
		memcpy(addr, opt.data, sizeof(*addr));
		return true;
	}
	return false;
}

/* is_ia_valid() - Check the lengths in an IA (RFC 8415 21.4 to 21.6) */
static bool is_ia_valid(const struct opt6 *ia)
{
	struct opts6 o;
	struct opt6 opt;

	if (ia->len < ia_hlen(ia->code))
		return false;
	o = ia_options(ia);
	while (opt6_next(&o, &opt)) {
		if (opt.code == OPT6_IAADDR && opt.len < 24)
			return false;
	}
	return !o.left;
}

static bool is_duid_valid(const struct opt6 *opt)
{
	return opt->len >= DUID_MIN && opt->len <= DUID_MAX;
}

/* dhcp6_read_option() - Read one option; false if its length is invalid */
static bool dhcp6_read_option(struct dhcp6_req *req, const struct opt6 *opt)
{
	switch (opt->code) {
	case OPT6_CLIENTID:
		req->client = *opt;
		return is_duid_valid(opt);
	case OPT6_SERVERID:
		req->server = *opt;
		return is_duid_valid(opt);
	case OPT6_IA_NA:
	case OPT6_IA_TA:
	case OPT6_IA_PD:
		req->ia = true;
		return is_ia_valid(opt);
	case OPT6_ORO:
		req->oro = *opt;
		return !(opt->len % 2);
	case OPT6_RAPID:
		req->rapid = true;
		return !opt->len;
	case OPT6_FQDN:
		req->fqdn = true;
		req->fqdn_flags = opt->len ? opt->data[0] : 0;
		return opt->len;
	default:
		return true;
	}
}

/* dhcp6_parse() - Parse a UDP payload as a request; false if it is malformed.
 * @req has pointers into @msg. */
static bool dhcp6_parse(struct dhcp6_req *req, const uint8_t *msg, size_t len)
{
	struct opts6 o;
	struct opt6 opt;

	if (len < 4)
		return false;

	*req = (struct dhcp6_req){
		.type = msg[0], .xid = msg + 1, .options = { msg + 4, len - 4 },
	};
	o = req->options;
	while (opt6_next(&o, &opt)) {
		if (!dhcp6_read_option(req, &opt))
			return false;
	}
	return !o.left;
}

/* dhcp6_names_us() - Whether the request names our server by its DUID */
static bool dhcp6_names_us(const struct dhcp6_reply *r)
{
	const struct opt6 *server = &r->req->server;

	return server->len == sizeof(r->duid) &&
	       !memcmp(server->data, r->duid, sizeof(r->duid));
}

/* dhcp6_is_valid() - Whether a client may send this request, to us or to all
 * servers (RFC 8415 16) */
static bool dhcp6_is_valid(const struct dhcp6_reply *r)
{
	const struct dhcp6_req *req = r->req;

	switch (req->type) {
	case DHCP6_SOLICIT:
	case DHCP6_CONFIRM:
	case DHCP6_REBIND:
		return req->client.len && !req->server.len;
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		return req->client.len && dhcp6_names_us(r);
	case DHCP6_INFORMATION:
		return !req->ia && (!req->server.len || dhcp6_names_us(r));
	default:
		return false;
	}
}

static void dhcp6_put_option(struct msgbuf *w, enum dhcp6_option code,
			     const void *data, size_t len)
{
	msgbuf_be16(w, (uint16_t)code);
	msgbuf_be16(w, (uint16_t)len);
	msgbuf_put(w, data, len);
}

/* dhcp6_put_status() - Append a status option without text (RFC 8415 21.13) */
static void dhcp6_put_status(struct msgbuf *w, enum dhcp6_status status)
{
	uint8_t be[2];

	put_be16(be, (uint16_t)status);
	dhcp6_put_option(w, OPT6_STATUS, be, sizeof(be));
}

/* ia_begin() - Append an IA with the ID of the client's IA, without options. T1
 * and T2 are in seconds; if they are 0, the client chooses them. Returns the
 * offset of the IA in the message, which ia_end() needs. */
static size_t ia_begin(struct msgbuf *w, const struct opt6 *ia, uint32_t t1,
		       uint32_t t2)
{
	size_t start = w->len;

	msgbuf_be16(w, ia->code);
	msgbuf_be16(w, 0);
	msgbuf_put(w, ia->data, 4);		/* IAID */
	if (ia->code != OPT6_IA_TA) {
		msgbuf_be32(w, t1);
		msgbuf_be32(w, t2);
	}
	return start;
}

/* ia_end() - Set the length of an IA, after its last option */
static void ia_end(struct msgbuf *w, size_t start)
{
	if (!w->full)
		put_be16(w->buf + start + 2, (uint16_t)(w->len - start - 4));
}

/* ia_refuse() - Append an IA that has only a status */
static void ia_refuse(struct msgbuf *w, const struct opt6 *ia,
		      enum dhcp6_status status)
{
	size_t start = ia_begin(w, ia, 0, 0);

	dhcp6_put_status(w, status);
	ia_end(w, start);
}

/* ia_put_addr() - Append an address of an IA (RFC 8415 21.6). A @lifetime of 0
 * seconds withdraws the address. */
static void ia_put_addr(struct msgbuf *w, const struct in6_addr *addr,
			uint32_t lifetime)
{
	msgbuf_be16(w, OPT6_IAADDR);
	msgbuf_be16(w, 24);
	msgbuf_addr6(w, addr);
	msgbuf_be32(w, lifetime);			/* preferred */
	msgbuf_be32(w, lifetime);			/* valid */
}

/* ia_is_on_link() - Whether all addresses of an IA in the request are on this
 * link */
static bool ia_is_on_link(const struct opt6 *ia, const struct lease *l)
{
	struct opts6 o = ia_options(ia);
	struct in6_addr addr;

	while (ia_next_addr(&o, &addr)) {
		if (!lease_covers(l, &addr))
			return false;
	}
	return true;
}

/* ia_has_ours() - Whether an address of an IA in the request is in the lease */
static bool ia_has_ours(const struct opt6 *ia, const struct lease *l)
{
	struct opts6 o = ia_options(ia);
	struct in6_addr addr;

	while (ia_next_addr(&o, &addr)) {
		if (lease_has(l, &addr))
			return true;
	}
	return false;
}

/* dhcp6_renews() - Whether the client wants to extend its lifetimes */
static bool dhcp6_renews(const struct dhcp6_req *req)
{
	return req->type == DHCP6_RENEW || req->type == DHCP6_REBIND;
}

/* dhcp6_pick_refusal() - Choose the status of an IA that gets no address
 * (RFC 8415 18.3) */
static enum dhcp6_status dhcp6_pick_refusal(const struct dhcp6_req *req,
					    const struct opt6 *ia)
{
	if (req->type != DHCP6_SOLICIT && req->type != DHCP6_REQUEST)
		return STATUS_NO_BINDING;
	return ia->code == OPT6_IA_PD ? STATUS_NO_PREFIX : STATUS_NO_ADDRS;
}

/* ia_bind() - Append an IA_NA with the addresses of the lease. If the client
 * wants to extend the lifetimes of other addresses, these are appended with a
 * lifetime of zero (RFC 8415 18.3.4, 18.3.5). */
static void ia_bind(struct dhcp6_reply *r, const struct opt6 *ia)
{
	struct opts6 o = ia_options(ia);
	size_t start = ia_begin(&r->w, ia, lease_t1(r->l), lease_t2(r->l));
	struct in6_addr addr;
	struct lease_addr a;
	unsigned int i;

	for (i = 0; lease_addr(r->l, IP6, i, &a); i++)
		ia_put_addr(&r->w, &a.addr, r->l->time);
	while (dhcp6_renews(r->req) && ia_next_addr(&o, &addr)) {
		if (!lease_has(r->l, &addr))
			ia_put_addr(&r->w, &addr, 0);
	}
	ia_end(&r->w, start);
	r->bound = true;
}

/* ia_assign() - Answer an IA of a client that wants addresses (RFC 8415 18.3.2,
 * 18.3.4, 18.3.5, 18.3.9) */
static void ia_assign(struct dhcp6_reply *r, const struct opt6 *ia)
{
	if (ia->code != OPT6_IA_NA || r->bound ||
	    addr_is_none(&r->l->addr[IP6])) {
		ia_refuse(&r->w, ia, dhcp6_pick_refusal(r->req, ia));
		return;
	}

	if (r->req->type == DHCP6_REQUEST && !ia_is_on_link(ia, r->l))
		ia_refuse(&r->w, ia, STATUS_NOT_ON_LINK);
	else
		ia_bind(r, ia);
}

/* ia_give_back() - Answer an IA in RELEASE or DECLINE (RFC 8415 18.3.7, .8) */
static void ia_give_back(struct dhcp6_reply *r, const struct opt6 *ia)
{
	if (ia->code != OPT6_IA_NA || !ia_has_ours(ia, r->l))
		ia_refuse(&r->w, ia, STATUS_NO_BINDING);
}

/* for_each_ia() - Let a function answer each IA of the request */
static void for_each_ia(struct dhcp6_reply *r,
			void (*answer)(struct dhcp6_reply *r,
				       const struct opt6 *ia))
{
	struct opts6 o = r->req->options;
	struct opt6 opt;

	while (opt6_next(&o, &opt)) {
		if (is_ia_option(opt.code))
			answer(r, &opt);
	}
}

/*
 * dhcp6_put_confirm() - Append a status that says whether the client may go on
 *		to use its addresses (RFC 8415 18.3.3)
 *
 * An address that is not in the lease is refused, even if it has the prefix of
 * this link. The client has such an address from an earlier lease. After the
 * refusal the client sends SOLICIT, and gets the new address without waiting
 * for T1.
 *
 * Returns false if there should be no reply, because the lease or the request
 * has no address.
 */
static bool dhcp6_put_confirm(struct dhcp6_reply *r)
{
	struct opts6 o = r->req->options, in_ia;
	unsigned int n = 0, gone = 0;
	struct in6_addr addr;
	struct opt6 opt;

	if (addr_is_none(&r->l->addr[IP6]))
		return false;

	while (opt6_next(&o, &opt)) {
		if (opt.code != OPT6_IA_NA && opt.code != OPT6_IA_TA)
			continue;
		in_ia = ia_options(&opt);
		for (; ia_next_addr(&in_ia, &addr); n++)
			gone += !lease_has(r->l, &addr);
	}
	dhcp6_put_status(&r->w, gone ? STATUS_NOT_ON_LINK : STATUS_SUCCESS);
	return n;
}

/* dhcp6_is_wanted() - Whether the client wants an option: true if the client
 * has requested it, or has sent no option that lists its requests */
static bool dhcp6_is_wanted(const struct dhcp6_req *req, enum dhcp6_option code)
{
	size_t i;

	for (i = 0; i < req->oro.len; i += 2) {
		if (get_be16(req->oro.data + i) == code)
			return true;
	}
	return !req->oro.len;
}

/* dhcp6_put_dns() - Append the resolvers (RFC 3646 3) */
static void dhcp6_put_dns(struct dhcp6_reply *r)
{
	size_t n = 0;

	if (r->l->dhcp_dns && dhcp6_is_wanted(r->req, OPT6_DNS))
		while (n < LEASE_DNS && !addr_is_none(&r->l->dns[IP6][n]))
			n++;
	if (n)
		dhcp6_put_option(&r->w, OPT6_DNS, r->l->dns[IP6],
				 n * sizeof(r->l->dns[IP6][0]));
}

/* dhcp6_put_search() - Append the search list (RFC 3646 4), without compression
 * of names (RFC 8415 10) */
static void dhcp6_put_search(struct dhcp6_reply *r)
{
	uint8_t buf[2 * LEASE_SEARCH];
	struct msgbuf list = { .buf = buf, .size = sizeof(buf) };

	if (r->l->dhcp_search && dhcp6_is_wanted(r->req, OPT6_SEARCH))
		domain_list_put(&list, r->l->search);
	if (list.len)
		dhcp6_put_option(&r->w, OPT6_SEARCH, buf, list.len);
}

/* dhcp6_put_fqdn() - Append the guest's domain name, if the client sent or
 * requested this option (RFC 4704 6). This server does not update DNS: the flag
 * N is set, S is not set, and O is set if the client has set S. */
static void dhcp6_put_fqdn(struct dhcp6_reply *r)
{
	uint8_t buf[1 + LEASE_NAME + 1];
	struct msgbuf name = { .buf = buf, .size = sizeof(buf) };
	bool wanted = r->req->oro.len && dhcp6_is_wanted(r->req, OPT6_FQDN);

	if (!*r->l->fqdn || (!r->req->fqdn && !wanted))
		return;
	msgbuf_u8(&name, FQDN6_N |
			 (r->req->fqdn_flags & FQDN6_S ? FQDN6_O : 0));
	domain_put(&name, r->l->fqdn);
	dhcp6_put_option(&r->w, OPT6_FQDN, buf, name.len);
}

/* dhcp6_put_time() - Append an option that is a number of seconds, if the
 * client wants it */
static void dhcp6_put_time(struct dhcp6_reply *r, enum dhcp6_option code,
			   uint32_t seconds)
{
	uint8_t be[4];

	put_be32(be, seconds);
	if (dhcp6_is_wanted(r->req, code))
		dhcp6_put_option(&r->w, code, be, sizeof(be));
}

static void dhcp6_put_config(struct dhcp6_reply *r)
{
	dhcp6_put_dns(r);
	dhcp6_put_search(r);
	dhcp6_put_fqdn(r);
}

/* dhcp6_put_solicit() - Append the options of the answer to SOLICIT (RFC 8415
 * 18.3.1). The answer is REPLY if the client accepts that, else ADVERTISE.
 * While the host has no IPv6 address, the client should ask again each minute:
 * otherwise it may wait for an hour (SOL_MAX_RT) */
static void dhcp6_put_solicit(struct dhcp6_reply *r)
{
	/* The highest preference: the client waits for no other server. */
	static const uint8_t preference = 255;

	if (r->req->rapid)
		dhcp6_put_option(&r->w, OPT6_RAPID, NULL, 0);
	else
		dhcp6_put_option(&r->w, OPT6_PREFERENCE, &preference, 1);
	for_each_ia(r, ia_assign);
	dhcp6_put_config(r);
	if (addr_is_none(&r->l->addr[IP6]))
		dhcp6_put_time(r, OPT6_SOL_MAX, SOL_MAX_TIME);
}

/* dhcp6_put_information() - Append the options of the answer to
 * INFORMATION-REQUEST (RFC 8415 18.3.6). A client without a lease has no T1,
 * but asks again after its refresh time, a day by default. If the lease ends,
 * the reply sets a shorter time */
static void dhcp6_put_information(struct dhcp6_reply *r)
{
	dhcp6_put_config(r);
	if (r->l->time != LEASE_INFINITE)
		dhcp6_put_time(r, OPT6_REFRESH, REFRESH_TIME);
}

/* dhcp6_put_body() - Append all options after the DUIDs; returns false if there
 * should be no reply */
static bool dhcp6_put_body(struct dhcp6_reply *r)
{
	switch (r->req->type) {
	case DHCP6_SOLICIT:
		dhcp6_put_solicit(r);
		return true;
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
	case DHCP6_REBIND:
		for_each_ia(r, ia_assign);
		dhcp6_put_config(r);
		return true;
	case DHCP6_CONFIRM:
		return dhcp6_put_confirm(r);
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		dhcp6_put_status(&r->w, STATUS_SUCCESS);
		for_each_ia(r, ia_give_back);
		return true;
	case DHCP6_INFORMATION:
		dhcp6_put_information(r);
		return true;
	default:
		return false;
	}
}

static void dhcp6_put_header(struct dhcp6_reply *r)
{
	const struct dhcp6_req *req = r->req;
	bool advertise = req->type == DHCP6_SOLICIT && !req->rapid;

	msgbuf_u8(&r->w, advertise ? DHCP6_ADVERTISE : DHCP6_REPLY);
	msgbuf_put(&r->w, req->xid, 3);
	if (req->client.len)
		dhcp6_put_option(&r->w, OPT6_CLIENTID, req->client.data,
				 req->client.len);
	dhcp6_put_option(&r->w, OPT6_SERVERID, r->duid, sizeof(r->duid));
}

/* make_duid() - Make the DUID of our server from our MAC address (RFC 8415
 * 11.4) */
static void make_duid(uint8_t duid[DUID_LL_LEN], const uint8_t mac[MAC_LEN])
{
	put_be16(duid, DUID_LL);
	put_be16(duid + 2, DUID_HW_ETHERNET);
	memcpy(duid + 4, mac, MAC_LEN);
}

/* dhcp6_forget() - If the guest gives its addresses back, note that it does not
 * use them any more */
static void dhcp6_forget(struct answer *a, const struct dhcp6_req *req,
			 const uint8_t *smac)
{
	struct lease_addr addr;
	unsigned int i;

	if (req->type != DHCP6_RELEASE && req->type != DHCP6_DECLINE)
		return;
	for (i = 0; lease_addr(a->lease, IP6, i, &addr); i++)
		tap_gave_back(a->tap, &addr.addr, smac);
}

static void dhcp6_send_answer(struct answer *a, const struct dhcp6_req *req,
			      const struct in6_addr *to, const uint8_t *smac)
{
	struct dhcp6_reply r = { .l = a->lease, .req = req };
	struct ip_hdr ip = { .src = answer_own_ll(a->lease), .dst = *to };
	uint8_t buf[UDP_HLEN + DHCP6_OUT_MAX];
	char from[ADDR_STRLEN];

	make_duid(r.duid, a->lease->mac);
	if (!dhcp6_is_valid(&r))
		return;

	LOG_LIMITED(LOG_INFO, "DHCPv6: %s from %s", dhcp6_name[req->type],
		    addr_str(to, from));
	dhcp6_forget(a, req, smac);
	answer_udp_init(&r.w, buf, sizeof(buf));
	dhcp6_put_header(&r);
	if (dhcp6_put_body(&r) && !r.w.full)
		answer_udp_send(a, &ip, smac, DHCP6_SERVER, DHCP6_CLIENT,
				&r.w);
}

/* answer_dhcpv6() - Answer a message to DHCPv6 servers, if it is valid */
static void answer_dhcpv6(struct answer *a, const struct pkt *pkt)
{
	uint8_t msg[DHCP6_IN_MAX];
	struct dhcp6_req req;
	size_t len;

	if (pkt->len > sizeof(msg))
		return;
	len = pkt_copy(pkt, msg, sizeof(msg));
	if (dhcp6_parse(&req, msg, len))
		dhcp6_send_answer(a, &req, &pkt->src, pkt->smac);
}

/**
 * dhcpv6_from_guest() - Answer a DHCPv6 message
 * @a:		state of the services
 * @pkt:	UDP packet
 *
 * Return: true if @pkt is sent to all DHCPv6 servers, even if our server does
 *	   not answer it; false if it is not, or if our server is switched off
 */
bool dhcpv6_from_guest(struct answer *a, const struct pkt *pkt)
{
	if (!a->lease->dhcpv6 || pkt->proto != IPPROTO_UDP ||
	    pkt->dport != DHCP6_SERVER || !addr_eq(&pkt->dst, &all_agents))
		return false;
	answer_dhcpv6(a, pkt);
	return true;
}

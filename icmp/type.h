/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * type.h - Types and codes of ICMP and ICMPv6 that are sent or received here.
 * Included by icmp.c and icmp/ only: libc's <netinet/ip_icmp.h> has a struct
 * icmp of its own, and <linux/icmp.h> does not go with <net/if.h>.
 */
#ifndef ICMP_TYPE_H
#define ICMP_TYPE_H

/* ICMP (RFC 792; codes of Destination Unreachable: RFC 1812 5.2.7.1) */
#define ICMP4_ECHO_REPLY	0
#define ICMP4_UNREACH		3
#define ICMP4_UNREACH_NET	0
#define ICMP4_UNREACH_HOST	1
#define ICMP4_UNREACH_PORT	3
#define ICMP4_UNREACH_NEEDFRAG	4
#define ICMP4_UNREACH_UNKNOWN	7	/* destination host unknown */
#define ICMP4_UNREACH_ISOLATED	8	/* source host isolated */
#define ICMP4_UNREACH_ADMIN	13	/* administratively prohibited */
#define ICMP4_ECHO_REQUEST	8
#define ICMP4_TIME_EXCEEDED	11
#define ICMP4_PARAM_PROB	12

/* ICMPv6 (RFC 4443) are those of <netinet/icmp6.h>. */
#include <netinet/icmp6.h>

#endif /* ICMP_TYPE_H */

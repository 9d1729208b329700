/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * domain.h - Writes domain names as DNS labels (RFC 1035 3.1), for options of
 * DHCP, DHCPv6 and router advertisements.
 */
#ifndef ANSWER_DOMAIN_H
#define ANSWER_DOMAIN_H

#include <stdbool.h>

#include "answer/msgbuf.h"

void domain_put(struct msgbuf *w, const char *name);
void domain_list_put(struct msgbuf *w, const char *list);
void domain_list_put_compressed(struct msgbuf *w, const char *list);
size_t domain_first_len(const char *list);

#endif /* ANSWER_DOMAIN_H */

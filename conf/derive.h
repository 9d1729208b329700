/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * derive.h - Makes the network of the guest from the options and from the
 * host's addresses, routes and resolvers.
 */
#ifndef CONF_DERIVE_H
#define CONF_DERIVE_H

#include "conf/conf.h"
#include "conf/net.h"
#include "host/host.h"

void derive(const struct conf *c, const struct host *h, struct net *n);

#endif /* CONF_DERIVE_H */

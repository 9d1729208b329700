/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * derive.h - From what was asked for and what the host has to what the guest
 * gets.
 */
#ifndef CONF_DERIVE_H
#define CONF_DERIVE_H

#include "conf/conf.h"
#include "conf/net.h"
#include "host/host.h"

void derive(const struct conf *c, const struct host *h, struct net *n);

#endif /* CONF_DERIVE_H */

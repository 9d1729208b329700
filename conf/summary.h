/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * summary.h - Tells the user about the network of the guest when passt starts,
 * and when it changes.
 */
#ifndef CONF_SUMMARY_H
#define CONF_SUMMARY_H

#include "conf/net.h"
#include "host/host.h"

void net_print_notes(const struct net *n, const struct host *h);
void net_print(int level, const struct net *n);
void net_print_qemu(const char *path, bool vhost_user);
void net_print_changes(const struct net *old, const struct net *new);

#endif /* CONF_SUMMARY_H */

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bind.h - The UNIX socket at which a front-end connects.
 */
#ifndef LINK_BIND_H
#define LINK_BIND_H

int link_bind(const char *path);

#endif /* LINK_BIND_H */

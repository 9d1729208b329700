/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pcap.h - Records the frames of a link, both ways, in pcap format. A
 * decorator: it takes the place of the link's operations and calls them.
 */
#ifndef LINK_PCAP_H
#define LINK_PCAP_H

#include "link/link.h"

struct pcap {
	int fd;
};

int pcap_open(struct pcap *p, const char *path);
void pcap_attach(struct pcap *p, struct link *l);
void pcap_close(struct pcap *p);

#endif /* LINK_PCAP_H */

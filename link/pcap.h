/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pcap.h - An observer that records the frames of a link, both ways, in pcap
 * format.
 */
#ifndef LINK_PCAP_H
#define LINK_PCAP_H

#include "link/link.h"

/**
 * struct pcap - A recording
 * @observer:	for link_observe(), of each guest's link
 * @fd:		file, -1: none, or it could not be written
 */
struct pcap {
	struct link_observer observer;
	int fd;
};

int pcap_open(struct pcap *p, const char *path);
void pcap_close(struct pcap *p);

#endif /* LINK_PCAP_H */

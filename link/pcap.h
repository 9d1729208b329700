/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * pcap.h - An observer that records the frames of a link, in both directions,
 * in pcap format.
 */
#ifndef LINK_PCAP_H
#define LINK_PCAP_H

#include "link/link.h"

/**
 * struct pcap - A recording
 * @observer:	observer to pass to link_observe() each time a guest connects
 * @fd:		file; -1: no recording was started, or a write has failed
 */
struct pcap {
	struct link_observer observer;
	int fd;
};

int pcap_open(struct pcap *p, int fd);
void pcap_close(struct pcap *p);

#endif /* LINK_PCAP_H */

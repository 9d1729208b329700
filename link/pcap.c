// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * pcap.c - Records the frames of a link, in both directions, in pcap format
 * (draft-ietf-opsawg-pcap) with timestamps in nanoseconds.
 *
 * Each writev() writes many frames. A failed or partial write ends the
 * recording with a warning, and the daemon goes on.
 */
/* syscalls: start: write; pcap: clock_gettime close writev */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "link/pcap.h"
#include "util.h"

#define PCAP_MAGIC_NS	0xa1b23c4d	/* also shows the byte order */
#define PCAP_ETHERNET	1
#define PCAP_RECORDS	128		/* most records in one writev() */
#define PCAP_PIECES	512		/* most pieces in one writev();
					 * IOV_MAX is larger */

struct pcap_file_hdr {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy;
	uint32_t snaplen;
	uint32_t linktype;
};

struct pcap_record_hdr {
	uint32_t sec, nsec;
	uint32_t caplen, len;
};

/**
 * struct pcap_batch - Records for one writev()
 * @p:		recording
 * @now:	time that all records get, of CLOCK_REALTIME
 * @hdr, @nhdr:	headers of the records, and their number
 * @iov, @niov:	pieces to write: the header and the frame of each record
 * @bytes:	sum of the bytes of all pieces in @iov
 */
struct pcap_batch {
	struct pcap *p;
	struct timespec now;
	struct pcap_record_hdr hdr[PCAP_RECORDS];
	unsigned int nhdr;
	struct iovec iov[PCAP_PIECES];
	unsigned int niov;
	size_t bytes;
};

static void pcap_batch_start(struct pcap_batch *b, struct pcap *p)
{
	b->p = p;
	b->nhdr = b->niov = 0;
	b->bytes = 0;
	clock_gettime(CLOCK_REALTIME, &b->now);
}

/* pcap_batch_write() - Write the records to the file; a failed or partial write
 * ends the recording, and the caller must add no more records to the batch */
static void pcap_batch_write(struct pcap_batch *b)
{
	struct pcap *p = b->p;
	ssize_t n;

	if (p->fd < 0 || !b->niov)
		return;

	n = writev(p->fd, b->iov, (int)b->niov);
	if (n < 0 || (size_t)n < b->bytes) {
		warn("no more frames are recorded: %s",
		     n < 0 ? strerror(errno) : "file or pipe is full");
		pcap_close(p);
	}
	b->nhdr = b->niov = 0;
	b->bytes = 0;
}

/**
 * pcap_batch_add() - Add a record for a frame to a batch
 * @b:		batch of a recording that has not ended; it is written first if
 *		it has no space for the frame
 * @f:		frame, which is not copied. A frame with more pieces than a
 *		batch can have is not recorded
 */
static void pcap_batch_add(struct pcap_batch *b, const struct frame *f)
{
	struct pcap_record_hdr *hdr;

	if (f->iovcnt + 1 > PCAP_PIECES)
		return;
	if (b->nhdr == PCAP_RECORDS || b->niov + f->iovcnt + 1 > PCAP_PIECES)
		pcap_batch_write(b);

	hdr = &b->hdr[b->nhdr++];
	hdr->sec = (uint32_t)b->now.tv_sec;
	hdr->nsec = (uint32_t)b->now.tv_nsec;
	hdr->caplen = hdr->len = f->len;

	b->iov[b->niov].iov_base = hdr;
	b->iov[b->niov++].iov_len = sizeof(*hdr);
	memcpy(&b->iov[b->niov], f->iov, f->iovcnt * sizeof(*f->iov));
	b->niov += f->iovcnt;
	b->bytes += sizeof(*hdr) + f->len;
}

static void pcap_see(struct link_observer *o, bool to_guest,
		     const struct frame *frames, unsigned int n)
{
	struct pcap *p = container_of(o, struct pcap, observer);
	UNINITIALIZED struct pcap_batch b;
	unsigned int i;

	pcap_batch_start(&b, p);
	for (i = 0; i < n && p->fd >= 0; i++)
		pcap_batch_add(&b, &frames[i]);
	pcap_batch_write(&b);
}

/**
 * pcap_open() - Start a recording
 * @p:		recording to fill
 * @fd:		empty file or pipe, which the recording closes at its end. It is
 *		non-blocking, so that a slow reader of a pipe can't block the
 *		event loop
 *
 * Return: 0 on success, -errno on failure
 */
int pcap_open(struct pcap *p, int fd)
{
	const struct pcap_file_hdr hdr = {
		.magic = PCAP_MAGIC_NS, .major = 2, .minor = 4,
		.snaplen = LINK_GSO_MAX, .linktype = PCAP_ETHERNET,
	};
	ssize_t n;

	p->observer.see = pcap_see;
	p->fd = fd;
	n = write(fd, &hdr, sizeof(hdr));
	if (n != sizeof(hdr)) {
		int ret = n < 0 ? -errno : -ENOSPC;

		pcap_close(p);
		return ret;
	}
	return 0;
}

/**
 * pcap_close() - End a recording; the link is not affected
 * @p:		recording; nothing happens if it has ended already
 */
void pcap_close(struct pcap *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

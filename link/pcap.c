// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * pcap.c - Records the frames of a link, both ways, in pcap format
 * (draft-ietf-opsawg-pcap), with nanoseconds.
 * Attached by passt.c to an open link, whose operations it wraps; calls libc
 * and the log.
 *
 * A batch is written in one go. Recording never stops the daemon: what can't
 * be written ends the recording with a warning.
 */
/* syscalls: start: openat write; run: clock_gettime close writev */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "link/pcap.h"
#include "util.h"

#define PCAP_MAGIC_NS	0xa1b23c4d	/* host order tells the reader ours */
#define PCAP_ETHERNET	1
#define PCAP_RECORDS	128		/* in one writev() */
#define PCAP_PIECES	512		/* likewise, below IOV_MAX (1024) */

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
 * struct pcap_batch - Records on their way to the file
 * @p:		where they go
 * @now:	time of all of them
 * @hdr, @nhdr:	their headers
 * @iov, @niov:	headers and frames
 * @bytes:	in all
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

static void batch_start(struct pcap_batch *b, struct pcap *p)
{
	b->p = p;
	b->nhdr = b->niov = 0;
	b->bytes = 0;
	clock_gettime(CLOCK_REALTIME, &b->now);
}

/* batch_write() - Write the records out; a part of them is as good as none */
static void batch_write(struct pcap_batch *b)
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
 * batch_add() - One more record
 * @b:		batch
 * @iov:	frame, stays where it is until the batch is written
 * @cnt:	its pieces; one with more than a batch can have is left out
 * @len:	bytes
 */
static void batch_add(struct pcap_batch *b, const struct iovec *iov,
		      unsigned int cnt, uint32_t len)
{
	struct pcap_record_hdr *hdr;

	if (cnt + 1 > PCAP_PIECES)
		return;
	if (b->nhdr == PCAP_RECORDS || b->niov + cnt + 1 > PCAP_PIECES)
		batch_write(b);

	hdr = &b->hdr[b->nhdr++];
	hdr->sec = (uint32_t)b->now.tv_sec;
	hdr->nsec = (uint32_t)b->now.tv_nsec;
	hdr->caplen = hdr->len = len;

	b->iov[b->niov].iov_base = hdr;
	b->iov[b->niov++].iov_len = sizeof(*hdr);
	memcpy(&b->iov[b->niov], iov, cnt * sizeof(*iov));
	b->niov += cnt;
	b->bytes += sizeof(*hdr) + len;
}

static int pcap_refill(struct link *l)
{
	struct pcap_batch b;
	unsigned int i;
	int n;

	n = l->wrapped->refill(l);
	if (n <= 0)
		return n;

	batch_start(&b, l->decorator);
	for (i = 0; i < l->nin; i++)
		batch_add(&b, l->in[i].iov, l->in[i].iovcnt, l->in[i].len);
	batch_write(&b);
	return n;
}

static void pcap_release(struct link *l)
{
	l->wrapped->release(l);
}

/* pcap_flush() - Record what was committed since the last flush, and send it */
static int pcap_flush(struct link *l)
{
	struct pcap_batch b;
	unsigned int i;

	batch_start(&b, l->decorator);
	for (i = 0; i < l->nout; i++)
		batch_add(&b, &l->out[i], 1, (uint32_t)l->out[i].iov_len);
	batch_write(&b);
	return l->wrapped->flush(l);
}

static void pcap_link_close(struct link *l)
{
	l->wrapped->close(l);
}

/**
 * pcap_open() - Start a file
 * @p:		filled
 * @path:	path; what is there is overwritten
 *
 * Non-blocking: the reader of a pipe may be slow.
 *
 * Return: 0, -errno on failure
 */
int pcap_open(struct pcap *p, const char *path)
{
	const struct pcap_file_hdr hdr = {
		.magic = PCAP_MAGIC_NS, .major = 2, .minor = 4,
		.snaplen = LINK_FRAME_MAX, .linktype = PCAP_ETHERNET,
	};
	ssize_t n;

	p->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
		     O_NONBLOCK, S_IRUSR | S_IWUSR);
	if (p->fd < 0)
		return -errno;

	n = write(p->fd, &hdr, sizeof(hdr));
	if (n != sizeof(hdr)) {
		int ret = n < 0 ? -errno : -ENOSPC;

		pcap_close(p);
		return ret;
	}
	return 0;
}

/**
 * pcap_attach() - Record the frames of a link from now on
 * @p:		open file
 * @l:		open link, by itself: each new guest's has to be attached
 */
void pcap_attach(struct pcap *p, struct link *l)
{
	static const struct link_ops ops = {
		.refill = pcap_refill,
		.release = pcap_release,
		.flush = pcap_flush,
		.close = pcap_link_close,
	};

	l->wrapped = l->ops;
	l->decorator = p;
	l->ops = &ops;
}

/**
 * pcap_close() - End the recording; the link goes on
 * @p:		file, may be closed already
 */
void pcap_close(struct pcap *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

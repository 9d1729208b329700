/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * capture.h - Takes what passt writes to the file of --pcap while guest.c runs,
 * and checks it with a second reader of the format (draft-ietf-opsawg-pcap).
 * The file begins with its header, then has a record for each frame of the
 * link, in order and whole. The file may get full, or a write may fail: then
 * nothing more is written. guest.c includes this header once.
 */
#ifndef TEST_FUZZ_CAPTURE_H
#define TEST_FUZZ_CAPTURE_H

#include <sys/uio.h>
#include <unistd.h>

#include "link/pcap.h"
#include "test/fuzz/kernel.h"

#define FILE_HEADER	24
#define RECORD_HEADER	16
#define WRITE_MAX	(1 << 19)	/* bytes of a write, at most */

/**
 * struct capture - A recording
 * @p:		the recording of the product
 * @see:	an observer that sees the same frames before
 * @fd:		descriptor of the file
 * @space:	bytes that the file has space for
 * @ended:	a write has failed
 * @snaplen:	longest frame, as the header of the file says
 * @hash, @first, @end: frames that were seen: those in [first, end) must be
 *		written
 * @buf, @len:	bytes of the last write
 */
static struct capture {
	struct pcap p;
	struct link_observer see;
	int fd;
	size_t space;
	bool ended;
	uint32_t snaplen;
	uint64_t hash[LINK_FRAMES + LINK_BURST];
	unsigned int first, end;
	uint8_t buf[WRITE_MAX];
	size_t len;
} capture;

UNCOUNTED

/* hash_of() - Return a number that depends on all bytes */
static uint64_t hash_of(const uint8_t *p, size_t len)
{
	uint64_t h = 14695981039346656037U + len;

	while (len--)
		h = (h ^ *p++) * 1099511628211U;
	return h;
}

/* number_at() - Read a number of the file, in the byte order of the host */
static uint32_t number_at(size_t at)
{
	uint32_t n;

	MUST(at + sizeof(n) <= capture.len);
	memcpy(&n, capture.buf + at, sizeof(n));
	return n;
}

/* read_header() - Check the header of the file; returns its length */
static size_t read_header(void)
{
	static const uint16_t version[] = { 2, 4 };

	MUST(capture.len == FILE_HEADER);
	MUST(number_at(0) == 0xa1b23c4d);		/* nanoseconds */
	MUST(!memcmp(capture.buf + 4, version, sizeof(version)));
	capture.snaplen = number_at(16);
	MUST(capture.snaplen && number_at(20) == 1);	/* Ethernet */
	return FILE_HEADER;
}

/* read_record() - Check a record that begins at @at: it has the next frame that
 * was seen; returns its length */
static size_t read_record(size_t at)
{
	uint32_t len = number_at(at + 8);

	MUST(number_at(at + 4) < 1000000000);
	MUST(len && len == number_at(at + 12) && len <= capture.snaplen);
	MUST(at + RECORD_HEADER + len <= capture.len);
	MUST(capture.first < capture.end);
	MUST(capture.hash[capture.first++] ==
	     hash_of(capture.buf + at + RECORD_HEADER, len));
	return RECORD_HEADER + len;
}

/* take_write() - Write to the file; returns the bytes that it had space for */
static ssize_t take_write(int fd, const struct iovec *iov, int cnt)
{
	size_t at;
	int i;

	MUST(fd == capture.fd && !capture.ended && ksock_of(fd));
	capture.len = 0;
	for (i = 0; i < cnt; i++) {
		MUST(capture.len + iov[i].iov_len <= WRITE_MAX);
		memcpy(capture.buf + capture.len, iov[i].iov_base,
		       iov[i].iov_len);
		capture.len += iov[i].iov_len;
	}
	at = capture.snaplen ? 0 : read_header();
	while (at < capture.len)
		at += read_record(at);
	capture.ended = call_fails();
	if (capture.ended)
		return -1;
	at = MIN(capture.space, capture.len);
	capture.space -= at;
	capture.ended = at < capture.len;
	errno = ENOSPC;
	return at || !capture.len ? (ssize_t)at : -1;
}

ssize_t __real_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };

	return fd < FD_FIRST ? __real_write(fd, p, len) :
	       take_write(fd, &iov, 1);
}

ssize_t __real_writev(int fd, const struct iovec *iov, int cnt);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int cnt);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int cnt)
{
	return fd < FD_FIRST ? __real_writev(fd, iov, cnt) :
	       take_write(fd, iov, cnt);
}

/* check_written() - Check that all frames that were seen were written, unless
 * the recording has ended */
static void check_written(void)
{
	MUST(capture.ended || capture.first == capture.end);
	MUST(capture.ended == (capture.p.fd < 0));
}

/* see_frames() - Note the frames of a burst */
static void see_frames(struct link_observer *o, bool to_guest,
		       const struct frame *frames, unsigned int n)
{
	static uint8_t whole[LINK_GSO_MAX];
	unsigned int i, j;
	size_t len;

	check_written();
	capture.first = capture.end = 0;
	for (i = 0; i < n; i++) {
		for (j = 0, len = 0; j < frames[i].iovcnt; j++) {
			MUST(len + frames[i].iov[j].iov_len <= sizeof(whole));
			memcpy(whole + len, frames[i].iov[j].iov_base,
			       frames[i].iov[j].iov_len);
			len += frames[i].iov[j].iov_len;
		}
		MUST(len == frames[i].len && i < ARRAY_SIZE(capture.hash));
		capture.hash[capture.end++] = hash_of(whole, len);
	}
}

/* capture_observe() - Record a link that was just opened. The link shows frames
 * to the last observer first */
static void capture_observe(struct link *l)
{
	if (capture.p.fd < 0)
		return;
	link_observe(l, &capture.p.observer);
	link_observe(l, &capture.see);
}

/* capture_start() - Begin a recording in a file with space for @space bytes */
static void capture_start(size_t space)
{
	capture.fd = ksock_new(0, 0, 0);
	MUST(capture.fd >= 0);
	capture.space = space;
	capture.snaplen = capture.first = capture.end = 0;
	capture.ended = false;
	capture.see.see = see_frames;
	pcap_open(&capture.p, capture.fd);
	check_written();
}

/* capture_end() - End the recording, if there is one */
static void capture_end(void)
{
	if (capture.p.fd >= 0)
		check_written();
	pcap_close(&capture.p);
}

COUNTED

#endif /* TEST_FUZZ_CAPTURE_H */

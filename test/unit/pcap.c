// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * pcap.c - Tests of the recording of a link: every frame of both directions is
 * recorded once, tcpdump can read the file, and the link still works after a
 * write to the file has failed.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "../../link/pcap.c"
#include "test/memory.h"
#include "unit.h"

static char path[] = "/tmp/passt-pcap-XXXXXX";
static struct memory m;
static struct pcap p;
static uint8_t file[1 << 20];
static size_t file_len, file_pos;

/* read_file() - Read the whole file and check its header */
static void read_file(void)
{
	const struct pcap_file_hdr want = {
		.magic = 0xa1b23c4d, .major = 2, .minor = 4,
		.snaplen = LINK_GSO_MAX, .linktype = 1,
	};
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, file, sizeof(file));

	close(fd);
	file_len = n > 0 ? (size_t)n : 0;
	check("the file starts with its header", file_len >= sizeof(want) &&
	      !memcmp(file, &want, sizeof(want)));
	file_pos = sizeof(want);
}

/* next() - Read the next frame of the file: set @data to its bytes, and return
 * its length; -1: end of the file, -2 or -3: the file is malformed */
static int next(const uint8_t **data)
{
	struct pcap_record_hdr hdr;

	if (file_len - file_pos < sizeof(hdr))
		return file_len == file_pos ? -1 : -2;
	memcpy(&hdr, file + file_pos, sizeof(hdr));
	file_pos += sizeof(hdr);
	if (hdr.caplen != hdr.len || file_len - file_pos < hdr.caplen ||
	    hdr.nsec >= 1000000000)
		return -3;
	*data = file + file_pos;
	file_pos += hdr.caplen;
	return (int)hdr.caplen;
}

/* record() - Start a recording in the file @name; 0 or -errno */
static int record(const char *name)
{
	return pcap_open(&p, open(name, O_WRONLY | O_TRUNC | O_NONBLOCK));
}

/* open_both() - Open a link, and record its frames in the file at @path */
static void open_both(void)
{
	memory_open_as(&m, 1 << 20, MEMORY_CONTIGUOUS);
	check_eq("a file opens", record(path), 0);
	link_observe(&m.link, &p.observer);
}

/* send_frame() - Commit a frame to the guest: @len bytes, each of them @c */
static void send_frame(uint8_t c, size_t len)
{
	struct link_slot slot;

	if (!link_slots(m.queue, len, 1, &slot)) {
		fail("room", "for %zu bytes", len);
		return;
	}
	memset(slot.iov->iov_base, c, len);
	link_commit(m.queue, &slot, len, (struct frame_meta){ 0 });
}

static void test_both_ways(void)
{
	uint8_t in[2][60], back[1514];
	const uint8_t *data;

	memset(in[0], 1, sizeof(in[0]));
	memset(in[1], 2, sizeof(in[1]));
	memset(back, 3, sizeof(back));
	open_both();

	memory_put(&m, in[0], 60);
	memory_put(&m, in[1], 42);
	check_eq("frames come in all the same", link_refill(m.queue), 2);
	link_release(m.queue);
	send_frame(3, 1514);
	check_eq("and go out", link_flush(m.queue), 1);
	check_eq("to the guest", m.nsent, 1);
	check_eq("an idle link has nothing", link_refill(m.queue), 0);
	check_eq("to flush either", link_flush(m.queue), 1);
	pcap_close(&p);

	read_file();
	check("the first frame is there", next(&data) == 60 &&
	      !memcmp(data, in[0], 60));
	check("and the second", next(&data) == 42 && !memcmp(data, in[1], 42));
	check("and what went out", next(&data) == 1514 &&
	      !memcmp(data, back, 1514));
	check_eq("nothing else", next(&data), -1);
	link_close(&m.link);
}

static void test_pieces(void)
{
	static uint8_t frame[PCAP_PIECES];
	struct iovec iov[PCAP_PIECES], whole = { frame, sizeof(frame) };
	struct frame f[] = {
		{ .iov = &whole, .iovcnt = 1, .len = sizeof(frame) },
		{ .iov = iov, .iovcnt = PCAP_PIECES - 1,
		  .len = PCAP_PIECES - 1 },
		{ .iov = iov, .iovcnt = PCAP_PIECES, .len = PCAP_PIECES },
	};
	const uint8_t *data;
	unsigned int i;

	for (i = 0; i < PCAP_PIECES; i++) {
		frame[i] = (uint8_t)i;
		iov[i] = (struct iovec){ &frame[i], 1 };
	}
	record(path);
	pcap_see(&p.observer, true, f, ARRAY_SIZE(f));
	pcap_close(&p);

	read_file();
	check("a frame of one piece", next(&data) == PCAP_PIECES &&
	      !memcmp(data, frame, PCAP_PIECES));
	check("one of very many", next(&data) == PCAP_PIECES - 1 &&
	      !memcmp(data, frame, PCAP_PIECES - 1));
	check_eq("one of too many is left out", next(&data), -1);
}

static void test_full_batches(void)
{
	uint8_t frame[64] = { 0 };
	const uint8_t *data;
	unsigned int i;

	open_both();
	for (i = 0; i < LINK_BURST; i++)
		memory_put(&m, frame, sizeof(frame));
	link_refill(m.queue);
	for (i = 0; i < LINK_FRAMES; i++)
		send_frame((uint8_t)i, 60 + i % 7);
	link_flush(m.queue);
	pcap_close(&p);

	read_file();
	for (i = 0; i < LINK_BURST && next(&data) == 64; i++)
		;
	check_eq("a full batch in", i, LINK_BURST);
	for (i = 0; i < LINK_FRAMES && next(&data) == (int)(60 + i % 7) &&
	     data[0] == (uint8_t)i; i++)
		;
	check_eq("a full batch out, in order", i, LINK_FRAMES);
	check_eq("nothing else", next(&data), -1);
	link_close(&m.link);
}

/* prints() - Whether tcpdump reads the file, and prints @what */
static bool prints(const char *what)
{
	char cmd[128], line[512];
	bool found = false;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "tcpdump -nvr %s 2>&1", path);
	f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, what) != NULL;
	if (f)
		pclose(f);
	return found;
}

/* Given a GSO frame of the greatest possible length, then it is recorded as one
 * frame, byte for byte. */
static void test_gso(void)
{
	struct frame_meta meta = {
		.csum = LINK_CSUM_PARTIAL, .csum_start = 14 + 40,
		.csum_offset = 16, .gso = LINK_GSO_TCP6, .gso_size = 1440,
	};
	static uint8_t frame[LINK_GSO_MAX] = { [12] = 0x86, [13] = 0xdd,
		[14] = 0x60, [20] = 6, [21] = 64, [37] = 1, [53] = 2,
		[54 + 12] = 0x50, [54 + 13] = 0x10 };
	const uint8_t *data;

	put_be16(frame + 18, 65535);
	record(path);
	memory_open_as(&m, 1 << 20, MEMORY_SEGMENTING);
	link_observe(&m.link, &p.observer);
	memory_put_meta(&m, frame, sizeof(frame), meta);
	check_eq("a GSO frame", link_refill(m.queue), 1);
	link_release(m.queue);
	link_close(&m.link);
	pcap_close(&p);

	read_file();
	check("is recorded as it passed", next(&data) == LINK_GSO_MAX &&
	      !memcmp(data, frame, LINK_GSO_MAX));
	if (system("command -v tcpdump >/dev/null"))
		skip("tcpdump reads it", "needs tcpdump");
	else
		check("tcpdump reads it", prints("payload length: 65535"));
}

static void test_next_guest(void)
{
	const uint8_t *data;

	open_both();
	send_frame(1, 60);
	link_flush(m.queue);
	link_close(&m.link);
	check("the link closes", !link_up(&m.link));

	memory_open_as(&m, 4096, MEMORY_CONTIGUOUS);
	link_observe(&m.link, &p.observer);
	send_frame(2, 61);
	link_flush(m.queue);
	link_close(&m.link);
	pcap_close(&p);

	read_file();
	check("the file goes on with the next guest",
	      next(&data) == 60 && next(&data) == 61 && next(&data) == -1);
}

static void test_no_room(void)
{
	log_set_level(LOG_ERR);
	check_eq("a disk that is full", record("/dev/full"), -ENOSPC);

	open_both();
	close(p.fd);
	p.fd = open("/dev/full", O_WRONLY);
	send_frame(1, 60);
	check_eq("when the disk gets full, frames still go out",
		 link_flush(m.queue), 1);
	check_eq("to the guest", m.nsent, 1);
	check_eq("and recording ends", p.fd, -1);
	send_frame(1, 60);
	check_eq("without harm to what follows", link_flush(m.queue), 1);
	pcap_close(&p);
	link_close(&m.link);
}

static void test_slow_pipe(void)
{
	unsigned int i;
	int ends[2];

	open_both();
	close(p.fd);
	if (pipe2(ends, O_NONBLOCK))
		fail("a pipe", "%s", strerror(errno));
	p.fd = ends[1];
	for (i = 0; i < 100 && p.fd >= 0; i++) {
		memory_clear(&m);
		send_frame(1, 60000);
		link_flush(m.queue);
	}
	check("a reader that does not read ends the recording", i > 0 &&
	      p.fd < 0);
	check_eq("but no frame is lost", m.nsent, 1);
	close(ends[0]);
	link_close(&m.link);
}

/* Given a disk that is full, when a burst has more frames than two writes can
 * take, or more pieces, then the first write ends the recording, and nothing is
 * kept for another write. */
static void test_full_in_burst(void)
{
	static uint8_t byte;
	static struct iovec iov[PCAP_PIECES / 2];
	static struct frame f[2 * PCAP_RECORDS + LINK_BURST];
	unsigned int i, pieces;

	for (i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ &byte, 1 };
	for (pieces = 1; pieces <= ARRAY_SIZE(iov); pieces *= 2) {
		for (i = 0; i < ARRAY_SIZE(f); i++)
			f[i] = (struct frame){ .iov = iov, .iovcnt = pieces,
					       .len = pieces };
		record(path);
		close(p.fd);
		p.fd = open("/dev/full", O_WRONLY);
		pcap_see(&p.observer, true, f, ARRAY_SIZE(f));
		check_eq("a burst ends the recording", p.fd, -1);
	}
}

int main(void)
{
	close(mkstemp(path));
	test_both_ways();
	test_pieces();
	test_full_batches();
	test_gso();
	test_next_guest();
	test_no_room();
	test_full_in_burst();
	test_slow_pipe();
	unlink(path);
	return unit_end();
}

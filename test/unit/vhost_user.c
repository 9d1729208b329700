// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * vhost_user.c - Tests of the vhost-user link. The test plays the front-end and
 * the virtio-net driver in the guest.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../../link/vhost_user.c"
#include "link/vhost_priv.h"
#include "test/unit/unit.h"

/* The guest's memory: its address for the guest and in the front-end, and its
 * size in bytes. */
#define GUEST		0x40000000ULL
#define USER		0x7f0000000000ULL
#define SIZE		(4 * 1024 * 1024)

#define RING		64		/* entries of a ring */
#define BUFFER		1536		/* bytes of a receive buffer */
#define RINGS		4		/* two pairs */

/* Offsets in the memory: of ring i with its descriptors (avail follows at
 * 0x1000, used at 0x2000), of receive buffers, of frames from the guest, and of
 * indirect tables. */
#define RING_AT(i)	((i) * 0x4000)
#define BUFFERS		0x10000
#define FRAMES		0x200000
#define TABLES		0x300000

#define V1		(BIT(VIRTIO_F_VERSION_1) | BIT(F_PROTOCOL_FEATURES))
#define OFFLOADS	(FEATURES & ~BIT(VIRTIO_RING_F_EVENT_IDX))

static struct vhost_user v;

/**
 * struct front - State of the front-end and of the driver
 * @sock:	the front-end's end of the vhost-user socket
 * @fd, @mem:	memfd of the guest's memory, and the memory
 * @kick, @call: eventfds of each ring
 * @pair:	pair of rings that the driver uses now
 * @shown:	chains that the driver has made available, of each ring
 * @used:	used chains that the driver has taken back, of each ring
 * @size:	length of a receive buffer, bytes
 */
static struct front {
	int sock, fd;
	uint8_t *mem;
	int kick[RINGS], call[RINGS];
	unsigned int pair;
	uint16_t shown[RINGS], used[RINGS];
	uint32_t size;
} f;

static struct vring_desc *desc(unsigned int ring, unsigned int i)
{
	return (struct vring_desc *)(f.mem + RING_AT(ring)) + i % RING;
}

static struct vring_avail *avail(unsigned int ring)
{
	return (struct vring_avail *)(f.mem + RING_AT(ring) + 0x1000);
}

static struct vring_used *used(unsigned int ring)
{
	return (struct vring_used *)(f.mem + RING_AT(ring) + 0x2000);
}

/* says() - Let the front-end send a message, with a descriptor unless @fd is
 * -1, and let passt handle it; return the result of link_event() */
static int says(uint32_t request, uint32_t flags, const void *payload,
		uint32_t size, int fd)
{
	uint32_t head[3] = { request, flags | 1, size };
	struct iovec iov[2] = { { head, 12 }, { (void *)payload, size } };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr h;
	} c = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
		m.msg_control = &c;
		m.msg_controllen = sizeof(c);
	}
	if (sendmsg(f.sock, &m, 0) != (ssize_t)(12 + size))
		exit(1);
	return link_event(&v.link, FD_SOCKET, EPOLLIN);
}

static int says_u64(uint32_t request, uint64_t value, int fd)
{
	return says(request, 0, &value, 8, fd);
}

static int says_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vring_state s = { index, num };

	return says(request, 0, &s, sizeof(s), -1);
}

/* asks() - Let the front-end send a message, and let passt handle it; return
 * the value of the reply, UINT64_MAX: there is no reply */
static uint64_t asks(uint32_t request, uint32_t flags, uint64_t value,
		     uint32_t size)
{
	uint8_t reply[20];

	says(request, flags, &value, size, -1);
	if (recv(f.sock, reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply))
		return UINT64_MAX;
	memcpy(&value, reply + 12, 8);
	return value;
}

static struct mem_single region(void)
{
	return (struct mem_single){
		.region = { GUEST, SIZE, USER, 0 },
	};
}

/* sets_ring() - Let the front-end send all messages that set up a ring */
static void sets_ring(unsigned int i, uint16_t base)
{
	struct vring_addr a = {
		.index = i, .desc = USER + RING_AT(i),
		.avail = USER + RING_AT(i) + 0x1000,
		.used = USER + RING_AT(i) + 0x2000,
	};

	says_state(SET_VRING_NUM, i, RING);
	says_state(SET_VRING_BASE, i, base);
	says(SET_VRING_ADDR, 0, &a, sizeof(a), -1);
	says_u64(SET_VRING_KICK, i, f.kick[i]);
	says_u64(SET_VRING_CALL, i, f.call[i]);
	says_state(SET_VRING_ENABLE, i, 1);
}

/* begins() - Connect a front-end with these features, and set up all rings,
 * which do not run before the first kick; @size: bytes of a receive buffer */
static void begins(uint64_t features, uint32_t size)
{
	struct mem_single r = region();
	unsigned int i;
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	f = (struct front){
		.sock = ends[1], .fd = memfd_create("guest", 0), .size = size,
	};
	if (f.fd < 0 || ftruncate(f.fd, SIZE))
		exit(1);
	f.mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f.fd, 0);
	vhost_user_open(&v, ends[0]);
	says_u64(SET_FEATURES, features, -1);
	says(ADD_MEM_REG, 0, &r, sizeof(r), f.fd);
	for (i = 0; i < RINGS; i++) {
		f.kick[i] = eventfd(0, EFD_NONBLOCK);
		f.call[i] = eventfd(0, EFD_NONBLOCK);
		sets_ring(i, 0);
	}
}

static void ends(void)
{
	unsigned int i;

	link_close(&v.link);
	for (i = 0; i < RINGS; i++) {
		close(f.kick[i]);
		close(f.call[i]);
	}
	munmap(f.mem, SIZE);
	close(f.fd);
	close(f.sock);
}

static void kicks(unsigned int ring)
{
	link_event(&v.link, FD_KICK + ring, EPOLLIN);
}

/* posts() - Let the guest make @n receive buffers available, and kick. Each
 * buffer has two descriptors, the first of which describes @first bytes. If
 * @first is 0, each buffer has only one descriptor */
static void posts(unsigned int n, uint32_t first)
{
	unsigned int r = 2 * f.pair, i;
	uint64_t at;

	for (; n; n--) {
		i = 2 * f.shown[r];
		at = GUEST + BUFFERS + f.shown[r] % RING * 0x6000U;
		*desc(r, i) = (struct vring_desc){
			at, first ? first : f.size,
			VRING_DESC_F_WRITE | (first ? VRING_DESC_F_NEXT : 0),
			(uint16_t)((i + 1) % RING),
		};
		*desc(r, i + 1) = (struct vring_desc){
			at + first, f.size - first, VRING_DESC_F_WRITE, 0,
		};
		avail(r)->ring[f.shown[r] % RING] = (uint16_t)(i % RING);
		__atomic_store_n(&avail(r)->idx, ++f.shown[r],
				 __ATOMIC_RELEASE);
	}
	kicks(r);
}

/* gets_frame() - Copy the next frame that the guest received to @frame, and its
 * virtio-net header to @h; returns the length of the frame, 0: there is none */
static size_t gets_frame(struct virtio_net_hdr_v1 *h, uint8_t *frame)
{
	static uint8_t bytes[128 * 1024];
	unsigned int r = 2 * f.pair, n = 1, i;
	struct vring_used_elem *e;
	size_t len = 0;

	for (i = 0; i < n; i++) {
		if (f.used[r] == used(r)->idx)
			return 0;
		e = &used(r)->ring[f.used[r]++ % RING];
		memcpy(bytes + len, f.mem + (desc(r, e->id)->addr - GUEST),
		       e->len);
		len += e->len;
		memcpy(h, bytes, sizeof(*h));
		n = h->num_buffers;
	}
	memcpy(frame, bytes + sizeof(*h), len - sizeof(*h));
	return len - sizeof(*h);
}

/* sends() - Let the guest send a frame of @len bytes after the virtio-net
 * header @h, without a kick */
static void sends(const struct virtio_net_hdr_v1 *h, size_t len)
{
	unsigned int r = 2 * f.pair + 1, i = 2 * f.shown[r];
	uint64_t at = FRAMES + f.shown[r] % 16 * 0x14000U;

	memcpy(f.mem + at, h, sizeof(*h));
	memset(f.mem + at + sizeof(*h), 'g', len);
	*desc(r, i) = (struct vring_desc){
		GUEST + at, sizeof(*h), VRING_DESC_F_NEXT,
		(uint16_t)((i + 1) % RING),
	};
	*desc(r, i + 1) = (struct vring_desc){
		GUEST + at + sizeof(*h), (uint32_t)len, 0, 0,
	};
	avail(r)->ring[f.shown[r] % RING] = (uint16_t)(i % RING);
	__atomic_store_n(&avail(r)->idx, ++f.shown[r], __ATOMIC_RELEASE);
}

/* commits() - Commit a frame of @len bytes to the guest, in a slot of @space
 * bytes; false: the link has no slot */
static bool commits(size_t space, size_t len, struct frame_meta meta)
{
	static uint8_t bytes[LINK_GSO_MAX];
	struct link_queue *q = &v.queue[f.pair];
	struct link_slot slot;
	unsigned int i;

	if (!link_slots(q, space, 1, &slot))
		return false;
	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)i;
	link_slot_write(&slot, 0, bytes, len);
	link_commit(q, &slot, len, meta);
	return true;
}

/* is_pattern() - Whether a frame has the bytes that commits() wrote */
static bool is_pattern(const uint8_t *frame, size_t len)
{
	while (len--) {
		if (frame[len] != (uint8_t)len)
			return false;
	}
	return true;
}

/* posts_pieces() - Let the guest make a receive buffer available, whose @n
 * pieces of one byte are in an indirect table */
static void posts_pieces(unsigned int n)
{
	uint32_t at = TABLES + f.shown[0] * 0x4000U;
	struct vring_desc *table = (struct vring_desc *)(f.mem + at);
	unsigned int i;

	*desc(0, f.shown[0]) = (struct vring_desc){
		GUEST + at, n * sizeof(*table), VRING_DESC_F_INDIRECT, 0,
	};
	for (i = 0; i < n; i++)
		table[i] = (struct vring_desc){
			GUEST + BUFFERS + i, 1, VRING_DESC_F_WRITE |
			(i + 1 < n ? VRING_DESC_F_NEXT : 0), (uint16_t)(i + 1),
		};
	avail(0)->ring[f.shown[0]] = f.shown[0];
	avail(0)->idx = ++f.shown[0];
	kicks(0);
}

static uint8_t got[LINK_GSO_MAX];
static const struct frame_meta none;	/* checksum complete, no GSO */

/* Given a front-end that asks for features and limits, then it receives them,
 * and the features that it sets determine the capabilities of the link. */
static void story_features(void)
{
	begins(FEATURES, BUFFER);
	check_eq("features", asks(GET_FEATURES, 0, 0, 0), FEATURES);
	check_eq("protocol features", asks(GET_PROTOCOL_FEATURES, 0, 0, 0),
		 PROTOCOL & ~BIT(F_BACKEND_REQ));
	says(SET_OWNER, 0, NULL, 0, -1);
	check_eq("which stay the same", asks(GET_PROTOCOL_FEATURES, 0, 0, 0),
		 PROTOCOL & ~BIT(F_BACKEND_REQ));
	check_eq("pairs of rings", asks(GET_QUEUE_NUM, 0, 0, 0),
		 VHOST_PAIRS);
	check_eq("slots for memory", asks(GET_MAX_MEM_SLOTS, 0, 0, 0),
		 GUEST_REGIONS);
	check_eq("a message that is obeyed, if it wants to know",
		 asks(SET_VRING_ENABLE, VHOST_NEED_REPLY, 1ULL << 32, 8), 0);
	check_eq("one that passt does not know",
		 asks(24, VHOST_NEED_REPLY, 0, 0), 1);
	check_eq("an MTU that no network has",
		 asks(NET_SET_MTU, VHOST_NEED_REPLY, 67, 8), 1);
	check_eq("one that is possible",
		 asks(NET_SET_MTU, VHOST_NEED_REPLY, 9000, 8), 0);
	asks(SET_STATUS, VHOST_NEED_REPLY, 11, 8);
	check_eq("the status that was set", asks(GET_STATUS, 0, 0, 0), 11);
	check("what a guest with all of them can take",
	      v.link.caps.gso_max == LINK_GSO_MAX && v.link.caps.shared &&
	      v.link.caps.csum_to_guest && v.link.caps.uso_to_guest);
	says_u64(SET_FEATURES, V1, -1);
	check("and one with none", !v.link.caps.gso_max &&
	      !v.link.caps.csum_to_guest &&
	      v.link.caps.max_frame == ETH_HLEN + 9000);
	check_eq("a feature that was not offered",
		 says_u64(SET_FEATURES, BIT(VIRTIO_NET_F_CTRL_VQ), -1),
		 -EPROTO);
	ends();

	begins(FEATURES, BUFFER);
	says(SET_OWNER, 0, NULL, 0, -1);
	check_eq("protocol features for a front-end that begins as its owner",
		 asks(GET_PROTOCOL_FEATURES, 0, 0, 0), PROTOCOL);
	check_eq("and features, without those that need a control queue",
		 asks(GET_FEATURES, 0, 0, 0), FEATURES & ~FEATURES_CTRL);
	ends();
}

/* Given a message of the maximum length that comes in parts, then passt handles
 * it when it has received the last part. */
static void story_parts(void)
{
	const uint32_t head[] = { 99, 1 | VHOST_NEED_REPLY, VHOST_PAYLOAD };
	uint8_t bytes[12 + VHOST_PAYLOAD] = { 0 }, reply[20];
	const size_t part[] = { 5, 7, 255, sizeof(bytes) - 267 };
	size_t at = 0;
	unsigned int i;

	begins(FEATURES, BUFFER);
	memcpy(bytes, head, 12);
	for (i = 0; i < ARRAY_SIZE(part); at += part[i++]) {
		check("there is no reply yet", recv(f.sock, reply, 20,
						    MSG_DONTWAIT) < 0);
		send(f.sock, bytes + at, part[i], 0);
		check("a part is taken",
		      !link_event(&v.link, FD_SOCKET, EPOLLIN));
	}
	check("then there is one",
	      recv(f.sock, reply, 20, MSG_DONTWAIT) == 20 && reply[12] == 1);
	ends();
}

/* check_gso_frame() - Check that the guest receives a GSO frame, in as many
 * receive buffers of @size bytes as are needed */
static void check_gso_frame(uint32_t size)
{
	const struct frame_meta tso = {
		LINK_CSUM_PARTIAL, LINK_GSO_TCP4, 1448, 34, 16,
	};
	struct virtio_net_hdr_v1 h;

	check("a GSO frame", commits(20000, 20000, tso));
	link_flush(v.queue);
	check_eq("is long", gets_frame(&h, got), 20000);
	check("has its bytes", is_pattern(got, 20000));
	check_eq("and as many buffers as it needs", h.num_buffers,
		 (20012 + size - 1) / size);
	check("the header says how to cut it",
	      h.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	      h.gso_type == VIRTIO_NET_HDR_GSO_TCPV4 &&
	      h.gso_size == 1448 && h.csum_start == 34 &&
	      h.csum_offset == 16);
}

/* check_no_buffers() - Check that the link is blocked when the guest has no
 * receive buffer left, until posts() makes some available; @first is for
 * posts() */
static void check_no_buffers(uint32_t first)
{
	unsigned int i;

	for (i = 0; i < 100 && commits(1400, 1400, none); i++)
		;
	check("buffers end at some time", i && i < 20);
	check("that alone is not blocked", !v.queue[0].blocked);
	link_flush(v.queue);
	check("without a buffer it is", !commits(1400, 1400, none) &&
	      v.queue[0].blocked && !link_flush(v.queue));
	check("and stalled", link_stalled(v.queue));
	posts(8, first);
	check("until the guest gives some", !v.queue[0].blocked &&
	      commits(1400, 1400, none) && link_flush(v.queue) == 1);
}

/* Given a ring to the guest, when it has been started by a kick, then the guest
 * receives frames, each at the next flush. */
static void story_to_guest(const char *name, uint64_t features, uint32_t size,
			   uint32_t first)
{
	struct virtio_net_hdr_v1 h;
	struct link_slot slots[4];
	unsigned int i, wrong = 0;

	printf("# %s\n", name);
	begins(features, size);
	check("a ring that was not started takes no frame",
	      !commits(60, 60, none) && v.queue[0].blocked);
	posts(20, first);
	check("a ring that has started does", commits(60, 60, none));
	check("it is not blocked", !v.queue[0].blocked);
	check_eq("the guest gets nothing before the flush",
		 gets_frame(&h, got), 0);
	check_eq("the flush", link_flush(v.queue), 1);
	check_eq("gives it the frame", gets_frame(&h, got), 60);
	check("with its bytes, in one buffer", is_pattern(got, 60) &&
	      h.num_buffers == 1 && !h.gso_type);

	for (i = 0; i < 3; i++)
		wrong += !commits(1500, 1000 + i, none);
	check_eq("slots that are not committed are given back",
		 link_slots(v.queue, 1000, 4, slots), 4);
	link_flush(v.queue);
	for (i = 0; i < 3; i++) {
		wrong += gets_frame(&h, got) != 1000 + i;
		wrong += !is_pattern(got, 1000 + i);
	}
	check_eq("frames shorter than their slots", wrong, 0);
	check_eq("and no others", gets_frame(&h, got), 0);

	if (features & BIT(VIRTIO_NET_F_GUEST_TSO4))
		check_gso_frame(size);
	check_no_buffers(first);
	ends();
}

/* Given frames from the guest, then passt receives them, and gives their
 * buffers back to the guest when it releases the frames. */
static void story_from_guest(void)
{
	struct virtio_net_hdr_v1 h = { 0 };
	struct frame *fr = v.queue[0].from_guest;

	begins(OFFLOADS, BUFFER);
	sends(&h, 60);
	check_eq("nothing comes before the ring has started",
		 link_refill(v.queue), 0);
	kicks(1);
	check("a kick says that there is something", v.queue[0].more);
	h = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV6 |
			    VIRTIO_NET_HDR_GSO_ECN,
		.gso_size = 1428, .csum_start = 54, .csum_offset = 16,
	};
	sends(&h, 60000);
	check_eq("both frames", link_refill(v.queue), 2);
	check("the first", fr[0].len == 60 && !fr[0].meta.csum &&
	      !fr[0].meta.gso && *(uint8_t *)fr[0].iov->iov_base == 'g');
	check("the second", fr[1].len == 60000 &&
	      fr[1].meta.csum == LINK_CSUM_PARTIAL &&
	      fr[1].meta.gso == LINK_GSO_TCP6 && fr[1].meta.gso_size == 1428 &&
	      fr[1].meta.csum_start == 54 && fr[1].meta.csum_offset == 16);
	check_eq("buffers are passt's", used(1)->idx, 0);
	link_release(v.queue);
	check_eq("until it gives them back", used(1)->idx, 2);
	check("there may be more", v.queue[0].more);
	check("there is none", !link_refill(v.queue) && !v.queue[0].more);

	h.gso_type = 77;
	sends(&h, 100);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	sends(&h, 100);
	sends(&h, 0);
	check_eq("a frame without bytes is none", link_refill(v.queue), 2);
	check("an unknown type is not mistaken for another",
	      fr[0].meta.gso == VHOST_GSO_UNKNOWN && fr[1].meta.gso == LINK_GSO_UDP);
	link_release(v.queue);
	check_eq("all buffers go back", used(1)->idx, 5);

	says_state(SET_VRING_ENABLE, 1, 0);
	sends(&h, 100);
	check_eq("a ring that is not enabled gives none",
		 link_refill(v.queue), 0);
	link_release(v.queue);
	check_eq("but takes the guest's", used(1)->idx, 6);
	ends();
}

/* says_something() - Let the guest send a frame, and let passt take it */
static void says_something(void)
{
	sends(&(struct virtio_net_hdr_v1){ 0 }, 60);
	kicks(1);
	link_refill(v.queue);
	link_release(v.queue);
}

/* Given a guest that takes no frames, then the link is stalled, until the guest
 * takes them. With EVENT_IDX, the guest shows that it has taken a frame: it
 * asks to be notified of the next one. Without EVENT_IDX, only new buffers show
 * it, and a driver gives no new buffers until half of the old ones are used. */
static void story_stalled(void)
{
	begins(FEATURES, BUFFER);
	check("no ring has started", link_stalled(v.queue));
	posts(20, 0);
	says_something();
	check("nothing waits at first", !link_stalled(v.queue));
	commits(60, 60, none);
	link_flush(v.queue);
	check("a frame that is not taken stalls the link",
	      link_stalled(v.queue));
	avail(0)->ring[RING] = used(0)->idx;	/* used_event */
	check("until it is taken", !link_stalled(v.queue));
	commits(60, 60, none);
	commits(60, 60, none);
	link_flush(v.queue);
	avail(0)->ring[RING]++;
	check("one of two is not enough", link_stalled(v.queue));
	posts(1, 0);
	check("new buffers are", !link_stalled(v.queue));
	ends();

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	says_something();
	commits(60, 60, none);
	link_flush(v.queue);
	avail(0)->ring[RING] = used(0)->idx;
	check("without EVENT_IDX, that field means nothing",
	      link_stalled(v.queue));
	posts(1, 0);
	check("and new buffers do", !link_stalled(v.queue));
	ends();
}

/* Given a running ring, when the front-end replaces the descriptor for calls,
 * then passt notifies the guest through the new one at once: the guest may have
 * missed a notification through the old one. */
static void story_new_call(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t n = 0;

	begins(FEATURES, BUFFER);
	posts(20, 0);
	commits(60, 60, none);
	link_flush(v.queue);
	says_u64(SET_VRING_CALL, 0, fd);
	check("the guest is notified through the new descriptor",
	      read(fd, &n, sizeof(n)) == sizeof(n) && n == 1);
	avail(0)->ring[RING] = used(0)->idx;	/* used_event */
	commits(60, 60, none);
	link_flush(v.queue);
	check("and of the next frame", read(fd, &n, sizeof(n)) == sizeof(n));
	close(fd);
	ends();
}

/* Given a running ring, when the front-end stops it, disables it or resets the
 * device, then frames that were committed before reach the guest, and no frame
 * can be committed until the ring runs again. */
static void story_changes(void)
{
	struct virtio_net_hdr_v1 h = { 0 };
	struct mem_single r = region();
	struct vring_state s = { 0, 0 };
	uint64_t mtu = 1500;
	uint8_t reply[20];

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	commits(1000, 1000, none);
	commits(2000, 2000, none);
	says(GET_VRING_BASE, 0, &s, sizeof(s), -1);
	recv(f.sock, reply, sizeof(reply), MSG_DONTWAIT);
	memcpy(&s, reply + 12, sizeof(s));
	check_eq("a ring that stops says how far it came", s.num, 3);
	check("frames that were committed go out before",
	      gets_frame(&h, got) == 1000 && gets_frame(&h, got) == 2000);
	check("it takes no other", !commits(60, 60, none));
	check("its guest is stalled", link_stalled(v.queue));
	sets_ring(0, 3);
	check("nor when it is set again", !commits(60, 60, none));
	kicks(0);
	check("until the next kick", commits(60, 60, none));
	link_flush(v.queue);
	check_eq("and goes on where it was", gets_frame(&h, got), 60);

	kicks(1);
	commits(60, 60, none);
	check_eq("memory can go while rings run",
		 says(REM_MEM_REG, 0, &r, sizeof(r), -1), -EPROTO);
	check_eq("and ends the link", v.mem.n, 0);
	ends();

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	commits(60, 60, none);
	says(NET_SET_MTU, 0, &mtu, sizeof(mtu), -1);
	check_eq("an MTU is for frames after it", gets_frame(&h, got), 60);
	says_state(SET_VRING_ENABLE, 0, 0);
	check("a ring that is not enabled takes no frame",
	      !commits(60, 60, none) && v.queue[0].blocked);
	says_state(SET_VRING_ENABLE, 0, 1);
	check("until it is", !v.queue[0].blocked && commits(60, 60, none));
	says(RESET_DEVICE, 0, NULL, 0, -1);
	check_eq("a reset lets the frame go", gets_frame(&h, got), 60);
	check("and stops all", !commits(60, 60, none));
	ends();
}

/* Given a table of regions with more bytes than its regions need, as user-mode
 * Linux sends it, then passt takes it. Given one with fewer, then passt closes
 * the link. */
static void story_table(void)
{
	struct mem_table t = { .n = 1, .region = { region().region } };
	const uint32_t head = offsetof(struct mem_table, region);

	begins(OFFLOADS, BUFFER);
	check_eq("a table that is longer than its regions",
		 says(SET_MEM_TABLE, 0, &t, head + 2 * sizeof(*t.region),
		      f.fd), 0);
	posts(2, 0);
	check("its memory is the guest's", commits(60, 60, none) &&
	      link_flush(v.queue) == 1);
	check_eq("a table that is shorter",
		 says(SET_MEM_TABLE, 0, &t, head + sizeof(*t.region) - 8,
		      f.fd), -EPROTO);
	ends();
}

/* Given receive buffers in very many pieces, then passt makes slots of only as
 * many buffers as its array of pieces has space for. */
static void story_many_pieces(void)
{
	struct link_slot slots[8];
	unsigned int i;

	begins(OFFLOADS, BUFFER);
	for (i = 0; i < 5; i++)
		posts_pieces(1000);
	posts_pieces(11000);
	check_eq("five buffers of 1,000 pieces make five slots",
		 link_slots(v.queue, 600, 8, slots), 5);
	check("their pieces are in the array", v.pair[0].nto <= VHOST_PIECES);
	for (i = 0; i < 5; i++)
		link_commit(v.queue, &slots[i], 600, none);
	check("a buffer of 11,000 pieces makes none after their frames",
	      !link_slots(v.queue, 600, 1, slots));
	check_eq("the frames go to the guest", link_flush(v.queue), 1);
	check_eq("in five buffers", used(0)->idx, 5);
	ends();
}

/* is_untouched() - Whether the memory between the receive buffers, which are
 * 0x6000 bytes apart, is as story_runts() has left it */
static bool is_untouched(void)
{
	unsigned int i;

	for (i = 0; i < RING * 0x6000U; i++) {
		if (i % 0x6000 >= f.size && f.mem[BUFFERS + i] != 0xa5)
			return false;
	}
	return true;
}

/* used_bytes() - Return how many bytes passt says it has written in all */
static uint32_t used_bytes(void)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < used(0)->idx; i++)
		len += used(0)->ring[i % RING].len;
	return len;
}

/* Given receive buffers that are shorter than a virtio-net header, or hardly
 * longer, then a frame takes as many of them as it needs, and passt writes
 * nothing beside them. A guest that has not agreed to mergeable buffers breaks
 * a rule of virtio with them, and its link fails. */
static void story_runts(void)
{
	static const uint32_t sizes[] = { 3, 11, 12, 13, 25 };
	const uint64_t whole = OFFLOADS & ~BIT(VIRTIO_NET_F_MRG_RXBUF);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		printf("# receive buffers of %u bytes\n", sizes[i]);
		begins(OFFLOADS, sizes[i]);
		memset(f.mem + BUFFERS, 0xa5, RING * 0x6000U);
		posts(RING / 2, 0);
		check("a frame has a slot", commits(60, 60, none));
		check_eq("and goes to the guest", link_flush(v.queue), 1);
		check_eq("in as many buffers as it needs", used(0)->idx,
			 (12 + 60 + sizes[i] - 1) / sizes[i]);
		check_eq("with all of its bytes", used_bytes(), 12 + 60);
		check("and none beside them", is_untouched());
		ends();

		begins(whole, sizes[i]);
		memset(f.mem + BUFFERS, 0xa5, RING * 0x6000U);
		posts(RING / 2, 0);
		check("buffers that can't be merged are no slot",
		      !commits(60, 60, none));
		check_eq("and end the link", link_flush(v.queue), -EPROTO);
		check("nothing was written", is_untouched() && !used(0)->idx);
		ends();
	}
}

/* Given a ring that runs, whose descriptors end where the guest's memory ends,
 * when the front-end says that the ring is larger, then the ring stops, and
 * does not start again. */
static void story_new_size(void)
{
	struct vring_addr a = {
		.desc = USER + SIZE - RING * sizeof(struct vring_desc),
		.avail = USER + 0x1000, .used = USER + 0x2000,
	};

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	memcpy(f.mem + SIZE - RING * sizeof(struct vring_desc), desc(0, 0),
	       RING * sizeof(struct vring_desc));
	check_eq("a ring at the end of the memory",
		 says(SET_VRING_ADDR, 0, &a, sizeof(a), -1), 0);
	check("runs", commits(60, 60, none));
	check_eq("a larger size", says_state(SET_VRING_NUM, 0, 2 * RING), 0);
	check("stops it", !commits(60, 60, none));
	check_eq("and keeps it from starting",
		 link_event(&v.link, FD_KICK, EPOLLIN), -EPROTO);
	check("so it takes no frame", !commits(60, 60, none));
	ends();
}

/* Given a guest that violates the rules of a ring, or whose memory is gone,
 * then the link fails. */
static void story_broken(void)
{
	struct virtio_net_hdr_v1 h = { 0 };

	begins(OFFLOADS, BUFFER);
	kicks(1);
	sends(&h, 100);
	desc(1, 0)->addr = 1;
	check_eq("an address outside of its memory", link_refill(v.queue),
		 -EPROTO);
	ends();

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	desc(0, 0)->flags = 0;
	check("a receive buffer that is to be read", !commits(60, 60, none));
	check_eq("closes the link at the flush", link_flush(v.queue),
		 -EPROTO);
	ends();

	begins(OFFLOADS, BUFFER);
	posts(20, 0);
	check_eq("memory goes", ftruncate(f.fd, 0), 0);
	link_flush(v.queue);
	commits(60, 60, none);
	check_eq("memory that is gone closes the link",
		 link_flush(v.queue), -EPROTO);
	ends();
}

/* Given a guest that starts its second pair of rings, then each pair carries
 * its own frames. As long as the second pair's ring to the guest does not run,
 * the second queue is marked as unused. */
static void story_pairs(void)
{
	struct virtio_net_hdr_v1 h = { 0 };

	begins(OFFLOADS, BUFFER);
	posts(4, 0);
	check_eq("one queue, as long as one pair runs", v.link.nqueues, 1);
	f.pair = 1;
	sends(&h, 100);
	kicks(3);
	check_eq("a second pair", v.link.nqueues, 2);
	check("sends alone", v.queue[1].unused && v.queue[1].more);
	check_eq("its frames", link_refill(&v.queue[1]), 1);
	link_release(&v.queue[1]);
	check_eq("no other's", link_refill(&v.queue[0]), 0);

	posts(4, 0);
	check("until it takes some", !v.queue[1].unused);
	check("one for the second", commits(60, 60, none));
	f.pair = 0;
	check("two for the first", commits(61, 61, none) &&
	      commits(62, 62, none));
	check_eq("the first flush", link_flush(&v.queue[0]), 1);
	check_eq("the first pair's", gets_frame(&h, got), 61);
	check_eq("and its second frame", gets_frame(&h, got), 62);
	f.pair = 1;
	check_eq("the other pair waits for its flush", gets_frame(&h, got), 0);
	says_state(SET_VRING_ENABLE, 2, 0);
	check_eq("or for its end", gets_frame(&h, got), 60);
	check("that makes it unused", v.queue[1].unused);
	check("and not blocked", !link_blocked(&v.link));
	says_state(SET_VRING_ENABLE, 2, 1);
	check("and back", !v.queue[1].unused);
	says_state(SET_VRING_ENABLE, 2, 0);
	says_u64(SET_FEATURES, OFFLOADS & ~BIT(F_PROTOCOL_FEATURES), -1);
	check("used if a front-end can't disable rings", !v.queue[1].unused);

	while (commits(60, 60, none))
		link_flush(&v.queue[1]);
	check("without buffers, it blocks the link", link_blocked(&v.link));
	says_state(GET_VRING_BASE, 2, 0);
	check("but not when it has stopped", !link_blocked(&v.link));
	check_eq("then the flush is done", link_flush(&v.queue[1]), 1);
	ends();
}

int main(void)
{
	guest_mem_catch_faults();
	story_features();
	story_parts();
	story_to_guest("mergeable buffers", OFFLOADS, BUFFER, 0);
	story_to_guest("with EVENT_IDX", FEATURES, BUFFER, 0);
	story_to_guest("a header of its own", OFFLOADS, BUFFER, 12);
	story_to_guest("pieces that are too short", OFFLOADS, BUFFER, 30);
	story_to_guest("long buffers", OFFLOADS & ~BIT(VIRTIO_NET_F_MRG_RXBUF),
		       24000, 0);
	story_to_guest("no offload", V1, BUFFER, 0);
	story_from_guest();
	story_stalled();
	story_new_call();
	story_changes();
	story_table();
	story_many_pieces();
	story_runts();
	story_new_size();
	story_broken();
	story_pairs();
	return unit_end();
}

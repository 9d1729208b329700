// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * table.c - Tests of the flow table: single cases, and random operations that
 * are compared with a model, with the real hash and with hashes by which many
 * keys collide.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "siphash.h"

static uint64_t test_hash(const struct siphash_key *key, const void *data,
			  size_t len);

/* Let the code under test call test_hash(). */
#define siphash(key, data, len) test_hash(key, data, len)
#include "../../flow/table.c"
#undef siphash
#include "random.h"
#include "unit.h"

#define MANY	20000

/**
 * struct test_flow - A flow with data of a protocol
 * @flow:	the common part, which must be first
 * @mark:	data of the protocol
 */
struct test_flow {
	struct flow flow;
	uint64_t mark[30];
};

/* What test_hash() returns: SipHash, one value for all keys, 7 values, or 5
 * values so high that the search wraps around the end of the buckets. */
static enum { HASH_REAL, HASH_ONE, HASH_FEW, HASH_WRAP } hashing;

static uint64_t test_hash(const struct siphash_key *key, const void *data,
			  size_t len)
{
	const struct flow_key *k = data;

	switch (hashing) {
	case HASH_REAL:
		return siphash(key, data, len);
	case HASH_ONE:
		return 5;
	case HASH_FEW:
		return k->gport % 7;
	case HASH_WRAP:
		return UINT32_MAX - k->gport % 5;
	}
	return 0;
}

/* key_number() - Make a key that contains @n, so that different numbers have
 * different keys */
static struct flow_key key_number(uint32_t n)
{
	struct flow_key k = { .proto = IPPROTO_TCP, .pport = 443 };

	k.gport = (uint16_t)n;
	put_be32(&k.peer.s6_addr[12], n);
	return k;
}

static struct flow *insert(struct flow_table *t, uint32_t n)
{
	struct flow_key k = key_number(n);

	return flow_insert(t, &k, FLOW_UDP);
}

static struct flow *lookup(const struct flow_table *t, uint32_t n)
{
	struct flow_key k = key_number(n);

	return flow_lookup(t, &k);
}

/* token_of() - Return the token that epoll would return for a flow */
static uint64_t token_of(const struct flow_table *t, const struct flow *f)
{
	return event_token(EVENT_FLOW, 0, f->gen, flow_slot(t, f));
}

static uint32_t count(const struct flow_table *t)
{
	struct flow *f;
	uint32_t n = 0;

	for (f = flow_next(t, NULL); f; f = flow_next(t, f))
		n++;
	return n;
}

static void one_flow(void)
{
	static const uint64_t zero[30];
	struct test_flow *tf;
	struct flow_table t;
	struct flow_key k;
	struct flow *f;

	check_eq("no table for no flows",
		 flow_table_init(&t, sizeof(*tf), 0, -1), -EINVAL);
	check_eq("a table",
		 flow_table_init(&t, sizeof(*tf), 100, -1), 0);
	check("an empty table has no flow", !lookup(&t, 1));
	check("nor a first one", !flow_next(&t, NULL));

	f = insert(&t, 1);
	tf = (struct test_flow *)f;
	k = key_number(1);
	check("a flow is made", f);
	check_mem("it has its key", &f->key, &k, sizeof(k));
	check_eq("no socket", f->fd[SIDE_HOST], -1);
	check("no timer", !timer_armed(&f->timer));
	check("no list", list_empty(&f->node));
	check_mem("the protocol's part is zero", tf->mark, zero, sizeof(zero));
	check("it is found", lookup(&t, 1) == f);
	check("another is not", !lookup(&t, 2));
	check("a second one with its key is refused", !insert(&t, 1));
	check("it is the first of all", flow_next(&t, NULL) == f);
	check("and the last", !flow_next(&t, f));

	memset(tf->mark, 0xff, sizeof(tf->mark));
	flow_remove(&t, f);
	check("removed: not found", !lookup(&t, 1));
	check("removed: not among all", !flow_next(&t, NULL));
	tf = (struct test_flow *)insert(&t, 2);
	check("the slot is used again", &tf->flow == f);
	check_mem("nothing of the old flow is left in it", tf->mark, zero,
		  sizeof(zero));
	flow_table_free(&t);
}

static void stale_tokens(void)
{
	struct flow_table t;
	uint64_t old, new;
	struct flow *f;
	unsigned int i, wrong = 0;

	flow_table_init(&t, sizeof(struct test_flow), 4, -1);
	f = insert(&t, 1);
	old = token_of(&t, f);
	check("a token leads to its flow", flow_from_token(&t, old) == f);
	flow_remove(&t, f);
	check("a removed flow's token leads nowhere",
	      !flow_from_token(&t, old));
	f = insert(&t, 1);
	new = token_of(&t, f);
	check("not even when flow and slot are there again",
	      !flow_from_token(&t, old) && flow_from_token(&t, new) == f);
	check("a slot never used leads nowhere",
	      !flow_from_token(&t, event_token(EVENT_FLOW, 0, f->gen, 3)));
	check("a slot beyond the table leads nowhere",
	      !flow_from_token(&t, event_token(EVENT_FLOW, 0, f->gen,
					       UINT32_MAX)));

	t.gen = EVENT_GEN_MASK - 10;
	for (i = 0; i < 20; i++) {
		flow_remove(&t, f);
		f = insert(&t, 1);
		wrong += flow_from_token(&t, token_of(&t, f)) != f;
		wrong += !!flow_from_token(&t, old);
		old = token_of(&t, f);
	}
	check_eq("generations go round without a stumble", wrong, 0);
	flow_table_free(&t);
}

static void full_table(void)
{
	struct flow_table t;
	struct flow *f;
	uint32_t i, n;

	flow_table_init(&t, sizeof(struct test_flow), MANY, -1);
	for (n = 0; n < MANY; n++)
		if (!insert(&t, n))
			break;
	check_eq("twenty thousand flows", n, MANY);
	check("one more is refused", !insert(&t, n));
	for (i = 0; i < MANY && lookup(&t, i); i++)
		;
	check_eq("each is found", i, MANY);
	check_eq("each is gone through", count(&t), MANY);

	f = lookup(&t, 777);
	flow_remove(&t, f);
	check("one removed: room for one", insert(&t, MANY) == f);
	check("and no more", !insert(&t, MANY + 1));
	flow_table_free(&t);
}

/* Given a table for 2^32 - 1 flows, then it has space for FLOW_MAX: in some
 * containers the limit of descriptors is so high that no host has memory for as
 * many flows. */
static void endless_limit(void)
{
	struct flow_table t;

	check_eq("an endless limit is no error",
		 flow_table_init(&t, sizeof(struct test_flow), UINT32_MAX, -1),
		 0);
	check_eq("the table is not endless", t.max, FLOW_MAX);
	check("and works", insert(&t, 1) && lookup(&t, 1));
	flow_table_free(&t);
}

static void removed_while_going_through(void)
{
	struct flow_table t;
	struct flow *f;
	uint32_t i, n = 0;

	flow_table_init(&t, sizeof(struct test_flow), 5000, -1);
	for (i = 0; i < 5000; i++)
		insert(&t, i);
	for (f = flow_next(&t, NULL); f; f = flow_next(&t, f)) {
		n++;
		if (n % 100)
			flow_remove(&t, f);
	}
	check_eq("removing all but some while going through: each is seen",
		 n, 5000);
	check_eq("and those are left", count(&t), 50);
	for (f = flow_next(&t, NULL); f; f = flow_next(&t, f))
		flow_remove(&t, f);
	check_eq("then none", count(&t), 0);
	flow_table_free(&t);
}

/* touched() - Return how many bytes of an area are resident, in whole pages */
static size_t touched(void *mem, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0, i, pages;
	unsigned char *vec;

	pages = (size + page - 1) / page;
	vec = malloc(pages);
	if (!vec || mincore(mem, size, vec))
		fail("memory is looked at", "%s", strerror(errno));
	for (i = 0; vec && i < pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n * page;
}

/* resident() - Return how many bytes of a table's slots are resident */
static size_t resident(const struct flow_table *t)
{
	return touched(t->slots, t->max * t->slot_size);
}

/* Given a table that had many flows, when it gets empty, then the kernel has
 * all its memory back; if it had only one flow, then the table keeps the memory
 * of this flow. */
static void empty_again(void)
{
	struct flow_table t;
	uint32_t i, j;

	flow_table_init(&t, sizeof(struct test_flow), 20000, -1);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < MANY; i++)
			insert(&t, i);
		for (i = 0; i < MANY; i++)
			flow_remove(&t, lookup(&t, i));
		check_eq("empty: all memory is back", resident(&t) +
			 touched(t.buckets, buckets_size(&t)), 0);
	}
	insert(&t, 1);
	flow_remove(&t, lookup(&t, 1));
	check("a flow's memory is kept for the next", resident(&t));
	flow_table_free(&t);
}

static void memory_goes_back(void)
{
	struct flow *kept, *last;
	struct flow_table t;
	size_t before, after;
	uint64_t token;
	uint32_t i;

	flow_table_init(&t, sizeof(struct test_flow), 1000000, -1);
	check_eq("room for a million flows takes no memory", resident(&t), 0);
	for (i = 0; i < MANY; i++)
		insert(&t, i);
	before = resident(&t);
	last = lookup(&t, MANY - 1);
	token = token_of(&t, last);
	kept = lookup(&t, 9000);
	for (i = 0; i < MANY; i++)
		if (i != 9000)
			flow_remove(&t, lookup(&t, i));
	after = resident(&t);
	check("nearly all flows removed: nearly all memory is back",
	      before > 1000000 && after < 200000);
	check("the flow that stays is where it was", lookup(&t, 9000) == kept);
	check("its memory too", kept->key.gport == 9000);
	check("old tokens lead nowhere", !flow_from_token(&t, token));

	for (i = 0; i < MANY; i++)
		if (i != 9000)
			insert(&t, i);
	check("full again, the same slots: old tokens lead nowhere",
	      !flow_from_token(&t, token));
	for (i = 0; i < MANY && lookup(&t, i); i++)
		;
	check_eq("full again: each is found", i, MANY);
	flow_table_free(&t);
}

/* random_life() - Insert, look up and remove flows at random, @steps times, and
 * compare each result with a model */
static void random_life(const char *name, uint32_t max, uint32_t steps)
{
	uint32_t keys = max + max / 4, step, wrong = 0, live = 0;
	struct flow **model = calloc(keys, sizeof(*model));
	uint64_t *token = calloc(keys, sizeof(*token));
	struct flow_table t;

	flow_table_init(&t, sizeof(struct test_flow), max, -1);
	for (step = 0; step < steps; step++) {
		/* First insert more often, then remove more often, and so on,
		 * so that the table gets full and empty. */
		bool flood = step / (2 * keys) % 2;
		uint32_t n = (uint32_t)(next_random() % keys);
		struct flow *f = lookup(&t, n);

		wrong += f != model[n];
		if (!f && next_random() % 8 < (flood ? 7 : 1)) {
			f = insert(&t, n);
			wrong += !f != (live == max);
			live += !!f;
			model[n] = f;
			wrong += f && (f->key.gport != (uint16_t)n ||
				       flow_from_token(&t, token[n]));
			if (f)
				token[n] = token_of(&t, f);
		} else if (f && next_random() % 8 < (flood ? 1 : 7)) {
			wrong += flow_from_token(&t, token[n]) != f;
			flow_remove(&t, f);
			live--;
			model[n] = NULL;
			wrong += !!flow_from_token(&t, token[n]);
		}
		wrong += t.used != live;
		if (step % 5000 == 0)
			wrong += count(&t) != live;
	}
	for (step = 0; step < keys; step++)
		wrong += lookup(&t, step) != model[step];

	check_eq(name, wrong, 0);
	flow_table_free(&t);
	free(model);
	free(token);
}

static void random_lives(void)
{
	random_life("a random life of 1000 flows", 1000, 400000);
	random_life("a random life of 20000 flows", MANY, 600000);
	random_life("a random life of one flow", 1, 1000);
	random_life("a random life of three flows", 3, 10000);
	hashing = HASH_ONE;
	random_life("all keys in one row of buckets", 200, 50000);
	hashing = HASH_FEW;
	random_life("rows that grow together", 500, 100000);
	hashing = HASH_WRAP;
	random_life("a row around the end of the buckets", 500, 100000);
	hashing = HASH_REAL;
}

/* Given two tables, then the same flow keys have different hashes in them,
 * because each table has its own secret key. */
static void secrets(void)
{
	struct flow_table a, b;
	uint32_t same = 0, i;

	flow_table_init(&a, sizeof(struct test_flow), 1000, -1);
	flow_table_init(&b, sizeof(struct test_flow), 1000, -1);
	for (i = 0; i < 1000; i++)
		same += insert(&a, i)->hash % 2048 == insert(&b, i)->hash % 2048;
	check("nobody outside knows which keys collide", same < 20);
	flow_table_free(&a);
	flow_table_free(&b);
}

static void watching(void)
{
	struct epoll_event ev = { 0 };
	struct flow_table t;
	struct flow *f;
	int pair[2];

	flow_table_init(&t, sizeof(struct test_flow), 100, epoll_create1(0));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
		fail("a pair of sockets", "%s", strerror(errno));
		return;
	}
	insert(&t, 1);
	f = insert(&t, 2);
	check_eq("no socket: can't be watched", flow_watch(&t, f, SIDE_HOST, EPOLLIN),
		 -EBADF);
	f->fd[SIDE_HOST] = pair[0];
	check_eq("a socket is watched", flow_watch(&t, f, SIDE_HOST, EPOLLIN), 0);
	check_eq("nothing to read: no event", epoll_wait(t.epfd, &ev, 1, 0), 0);
	send(pair[1], "x", 1, 0);
	check_eq("something to read: an event",
		 epoll_wait(t.epfd, &ev, 1, 0), 1);
	check_eq("of a flow", event_type(ev.data.u64), EVENT_FLOW);
	check("of this one", flow_from_token(&t, ev.data.u64) == f);
	check_eq("watched for nothing", flow_rewatch(&t, f, SIDE_HOST, 0), 0);
	check_eq("nothing happens", epoll_wait(t.epfd, &ev, 1, 0), 0);
	check_eq("watched for room", flow_rewatch(&t, f, SIDE_HOST, EPOLLOUT), 0);
	check_eq("there is room", epoll_wait(t.epfd, &ev, 1, 0), 1);
	check_eq("and that is all", ev.events, EPOLLOUT);
	close(pair[0]);
	close(pair[1]);
	close(t.epfd);
	flow_table_free(&t);
}

/* aborts() - Whether a child process is aborted when it removes the flow with
 * number 1 */
static bool aborts(struct flow_table *t)
{
	int status = 0;
	pid_t pid;

	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		fclose(stderr);
		flow_remove(t, lookup(t, 1));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void mistakes_of_ours(void)
{
	struct flow_table t;
	struct timers wheel;
	struct list list;
	struct flow *f;

	flow_table_init(&t, sizeof(struct test_flow), 100, -1);
	timers_init(&wheel, 0);
	list_init(&list);
	f = insert(&t, 1);
	timer_arm(&wheel, &f->timer, 100);
	check("removal with an armed timer is noticed", aborts(&t));
	timer_cancel(&wheel, &f->timer);
	list_push(&list, &f->node);
	check("removal from within a list is noticed", aborts(&t));
	list_remove(&f->node);
	check("removal with neither is fine", !aborts(&t));
	flow_table_free(&t);
}

int main(void)
{
	one_flow();
	stale_tokens();
	full_table();
	endless_limit();
	removed_while_going_through();
	memory_goes_back();
	empty_again();
	random_lives();
	secrets();
	watching();
	mistakes_of_ours();
	return unit_end();
}

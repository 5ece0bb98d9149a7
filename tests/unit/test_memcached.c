// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memcached protocol over one buffer. That its answers are memcached's is
 * checked beside memcached itself (tests/net/cache.sh); here is what does not
 * need it: buffers cut anywhere, full replies, refused memory, many threads.
 */
#include <criterion/criterion.h>
#include <pthread.h>

#include "memcached_kit.h"

#define says(t, in, out)                                                       \
	do {                                                                   \
		const char *said_ = talk(t, in);                               \
									       \
		cr_assert_str_eq(said_, out, "%s -> %s", in, said_);           \
	} while (0)

Test(memcached, items_without_a_protocol)
{
	static char big[600000];
	struct talk t;
	char out[8];
	u32 flags = 1;

	talk_open(&t, 4 << 20);
	cr_assert_eq(memcached_get(&t.m, "a", 1, out, 8, &flags), -ENOENT);
	cr_assert_eq(memcached_set(&t.m, "a", 1, "one", 3, 7, 0), 0);
	says(&t, "get a\r\n", "VALUE a 7 3\r\none\r\nEND\r\n");
	says(&t, "set a 9 0 5\r\nthree\r\n", "STORED\r\n");
	cr_assert_eq(memcached_get(&t.m, "a", 1, out, 8, &flags), 5);
	cr_assert(!memcmp(out, "three", 5) && flags == 9);
	/* What does not fit is left out, and its length told. */
	memset(out, 'x', sizeof(out));
	cr_assert_eq(memcached_get(&t.m, "a", 1, out, 2, &flags), 5);
	cr_assert(!memcmp(out, "thxx", 4));
	/* Short-lived, and not even that long. */
	cr_assert_eq(memcached_set(&t.m, "b", 1, "x", 1, 0, 10), 0);
	cr_assert_eq(memcached_set(&t.m, "c", 1, "x", 1, 0, (u32)-1), 0);
	memcached_set_time(&t.m, 109);
	cr_assert_eq(memcached_get(&t.m, "b", 1, out, 8, &flags), 1);
	memcached_set_time(&t.m, 111);
	cr_assert_eq(memcached_get(&t.m, "b", 1, out, 8, &flags), -ENOENT);
	cr_assert_eq(memcached_get(&t.m, "c", 1, out, 8, &flags), 1);
	/* What could not be stored leaves nothing older behind. */
	t.m.value_max = 500000;
	cr_assert_eq(memcached_set(&t.m, "a", 1, big, 600000, 0, 0), -E2BIG);
	says(&t, "get a\r\n", "END\r\n");
	cr_assert_eq(memcached_set(&t.m, "", 0, "x", 1, 0, 0), -EINVAL);
	cr_assert_eq(memcached_set(&t.m, "a b", 3, "x", 1, 0, 0), -EINVAL);
	cr_assert_eq(memcached_get(&t.m, big, 251, out, 8, &flags), -EINVAL);
	cr_assert_eq(memcached_get(&t.m, "\x7f", 1, out, 8, &flags), -EINVAL);
	talk_close(&t);
}

Test(memcached, classic_commands)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	says(&t, "set a 5 0 3\r\nabc\r\n", "STORED\r\n");
	says(&t, "get a b a\r\n",
	     "VALUE a 5 3\r\nabc\r\nVALUE a 5 3\r\nabc\r\nEND\r\n");
	says(&t, "gets a\r\n", "VALUE a 5 3 1\r\nabc\r\nEND\r\n");
	says(&t, "cas a 0 0 1 7\r\nx\r\n", "EXISTS\r\n");
	says(&t, "cas a 0 0 1 1\r\nx\r\n", "STORED\r\n");
	says(&t, "cas b 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n");
	says(&t, "add a 0 0 1\r\ny\r\n", "NOT_STORED\r\n");
	says(&t, "append a 0 0 2\r\nyz\r\n", "STORED\r\n");
	says(&t, "prepend a 0 0 1\r\nw\r\nget a\r\n",
	     "STORED\r\nVALUE a 0 4\r\nwxyz\r\nEND\r\n");
	says(&t, "replace c 0 0 1\r\ny\r\n", "NOT_STORED\r\n");
	says(&t, "set n 0 0 2\r\n10\r\ndecr n 1\r\nget n\r\n",
	     "STORED\r\n9\r\nVALUE n 0 2\r\n9 \r\nEND\r\n");
	says(&t, "incr n 18446744073709551615\r\n", "8\r\n");
	says(&t, "delete n\r\ndelete n\r\n", "DELETED\r\nNOT_FOUND\r\n");
	says(&t, "set q 0 0 1 noreply\r\nq\r\nget q\r\n",
	     "VALUE q 0 1\r\nq\r\nEND\r\n");
	says(&t, "flush_all\r\nget q\r\n", "OK\r\nEND\r\n");
	says(&t, "set a 0 0 3\r\nabcdef\r\n",
	     "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
	says(&t, "bogus\r\n\r\n \r\n", "ERROR\r\nERROR\r\nERROR\r\n");
	says(&t, "version\r\n", "VERSION test\r\n");
	talk(&t, "quit\r\n");
	cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
	talk_close(&t);
}

Test(memcached, meta_commands)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	says(&t, "ms a 3 T60 F7 c\r\nabc\r\n", "HD c1\r\n");
	says(&t, "mg a v t f s c k Oxyz\r\n",
	     "VA 3 t60 f7 s3 c1 ka Oxyz\r\nabc\r\n");
	says(&t, "mg a\r\nmg none\r\nmg none q\r\nmn\r\n",
	     "HD\r\nEN\r\nMN\r\n");
	says(&t, "mg v N30 t\r\nmg v N30 t\r\n", "HD t30 W\r\nHD t30 Z\r\n");
	says(&t, "md a I T30\r\nmg a t c\r\nmg a\r\n",
	     "HD\r\nHD t30 c3 X W\r\nHD Z X\r\n");
	says(&t, "ma n N0 J5 v\r\nma n v\r\nma n MD D10 v\r\n",
	     "VA 1\r\n5\r\nVA 1\r\n6\r\nVA 1\r\n0\r\n");
	says(&t, "ms Zm9v 2 b\r\nhi\r\nmg Zm9v b k v\r\nmg foo v\r\n",
	     "HD\r\nVA 2 kZm9v b\r\nhi\r\nVA 2\r\nhi\r\n");
	says(&t, "me a\r\n", "ME a exp=-30 la=0 cas=3 fetch=yes cls=1 "
			     "size=67\r\n");
	says(&t, "mg a a\r\n", "CLIENT_ERROR invalid flag\r\n");
	says(&t, "mg a v v\r\n", "CLIENT_ERROR duplicate flag\r\n");
	talk_close(&t);
}

static const char conversation[] =
	"set a 1 0 10\r\n0123456789\r\nget a b\r\nms b 3 c Oq\r\nabc\r\n"
	"mg b v k c Oxx\r\nincr a 1\r\nset n 0 0 1\r\n5\r\nincr n 7\r\n"
	"append a 0 0 3\r\nxyz\r\ngets a n b\r\nset bad 0 0 2\r\nabcd\r\n"
	"delete n noreply\r\nget n\r\ntouch a 50\r\ngat 100 a b\r\nbogus x\r\n"
	"set too 0 0 3000000\r\n";

/* Whatever the pieces in which bytes come, the answers are the same. */
Test(memcached, buffers_may_be_cut_anywhere)
{
	char *whole = NULL;

	for (size_t piece = 5000; piece; piece = piece > 40 ? 40 : piece - 1) {
		struct talk t;

		talk_open(&t, 4 << 20);
		talk_bytes(&t, conversation, strlen(conversation), piece);
		if (!whole)
			whole = strdup(t.out);
		cr_assert_str_eq(t.out, whole, "pieces of %zu", piece);
		talk_close(&t);
	}
	cr_assert(strstr(whole, "object too large"));
	free(whole);
}

static char *filled(size_t len)
{
	char *text = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 23);
	text[len] = '\0';
	return text;
}

static void put_value(struct talk *t, const char *key, size_t len)
{
	char *in = malloc(len + 400), *value = filled(len);
	int n = sprintf(in, "set %s 0 0 %zu\r\n", key, len);

	memcpy(in + n, value, len);
	memcpy(in + n + len, "\r\n", 2);
	t->out_len = 0;
	talk_bytes(t, in, (size_t)n + len + 2, 60000);
	cr_assert_str_eq(t->out, "STORED\r\n");
	free(value);
	free(in);
}

Test(memcached, long_values_come_back_whole)
{
	static const size_t sizes[] = { 1023, 1024, 1025, 16300, 16400, 65536,
					300000, 1000000 };
	struct talk t;

	talk_open(&t, 16 << 20);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *value = filled(sizes[i]);
		char head[64];
		size_t n = (size_t)sprintf(head, "VALUE k 0 %zu\r\n",
					   sizes[i]);

		put_value(&t, "k", sizes[i]);
		talk(&t, "get k k x\r\nmg k v\r\n");
		cr_assert_eq(memcmp(t.out, head, n), 0);
		cr_assert_eq(memcmp(t.out + n, value, sizes[i]), 0);
		cr_assert_eq(memcmp(t.out + n + sizes[i], "\r\nVALUE", 7), 0);
		cr_assert_eq(t.out_len, 2 * (n + sizes[i] + 2) + 5 +
						sizes[i] + 2 +
						strlen(head) - 7,
			     "%zu", sizes[i]);
		free(value);
	}
	talk_close(&t);
}

/* Hundreds of commands in one buffer, more than a reply holds. */
Test(memcached, a_full_reply_goes_on_where_it_stopped)
{
	char *in = malloc(200000), *p = in;
	struct talk t;
	u32 hits = 0;

	talk_open(&t, 16 << 20);
	put_value(&t, "small", 900);
	put_value(&t, "large", 5000);
	for (int i = 0; i < 300; i++)
		p += sprintf(p, "get small large none\r\nmg large v\r\n");
	talk(&t, in);
	for (const char *at = t.out; (at = strstr(at, "VALUE ")); at++)
		hits++;
	cr_assert_eq(hits, 600);
	cr_assert_eq(t.out_len, 300 * (900 + 5000 + 5000 + 6 + 5 +
				       strlen("VALUE small 0 900\r\n") +
				       strlen("VALUE large 0 5000\r\n") +
				       strlen("VA 5000\r\n")));
	free(in);
	talk_close(&t);
}

Test(memcached, keys_of_a_get_may_be_endless)
{
	size_t size = 300000;
	char *in = malloc(size + 300), *p = in;
	struct talk t;
	u32 hits = 0;

	talk_open(&t, 4 << 20);
	talk(&t, "set k 0 0 1\r\nx\r\n");
	t.out_len = 0;
	p += sprintf(p, "get");
	while (p < in + size)
		p += sprintf(p, " k none");
	p += sprintf(p, "\r\n");
	talk_bytes(&t, in, (size_t)(p - in), 4000);
	for (const char *at = t.out; (at = strstr(at, "VALUE ")); at++)
		hits++;
	cr_assert_eq(hits, (size + 4) / 7);
	cr_assert_str_eq(t.out + t.out_len - 5, "END\r\n");
	talk_close(&t);

	talk_open(&t, 4 << 20);
	memset(in, 'x', 3000);
	talk_bytes(&t, in, 3000, 3000);
	cr_assert_eq(t.conn.state, MEMCACHED_CLOSING);
	talk_close(&t);
	free(in);
}

/* A value is being received when its client goes; nothing is left of it. */
Test(memcached, a_connection_may_end_anywhere)
{
	for (size_t n = 1; n < strlen(conversation); n++) {
		struct talk t;

		talk_open(&t, 4 << 20);
		talk_bytes(&t, conversation, n, n);
		talk_close(&t);
	}
}

Test(memcached, refused_memory_is_answered)
{
	struct talk t;

	talk_open(&t, 4 << 20);
	t.kit.fail = true;
	says(&t, "set a 0 0 3\r\nabc\r\nget a\r\n",
	     "SERVER_ERROR out of memory storing object\r\nEND\r\n");
	says(&t, "ms a 3\r\nabc\r\nma a N0\r\nmg a N0\r\n",
	     "SERVER_ERROR out of memory storing object\r\n"
	     "SERVER_ERROR Out of memory allocating new item\r\nEN\r\n");
	t.kit.fail = false;
	says(&t, "set a 0 0 3\r\nabc\r\n", "STORED\r\n");
	t.kit.fail = true;
	/* The only page there is goes to the new item's class. */
	says(&t, "append a 0 0 1\r\nd\r\nget a\r\n", "NOT_STORED\r\nEND\r\n");
	t.kit.fail = false;
	says(&t, "add a 0 0 1\r\nd\r\nget a\r\n",
	     "STORED\r\nVALUE a 0 1\r\nd\r\nEND\r\n");
	talk_close(&t);
}

enum { THREADS = 4, ROUNDS = 400, SHARDS = 4 };

struct many {
	struct memcached m;
	struct memcached_shard shards[SHARDS];
	pthread_mutex_t locks[SHARDS];
	struct kit kits[SHARDS];
};

static void lock(void *arg, u32 shard)
{
	pthread_mutex_lock(&((struct many *)arg)->locks[shard]);
}

static void unlock(void *arg, u32 shard)
{
	pthread_mutex_unlock(&((struct many *)arg)->locks[shard]);
}

struct worker {
	struct many *all;
	u64 random;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct memcached_reply *r = calloc(1, sizeof(*r));
	struct memcached_conn conn = { 0 };
	char *in = malloc(40000);

	for (int i = 0; i < ROUNDS; i++) {
		size_t len = 0, used = 0;

		for (int j = 0; j < 10; j++) {
			u32 key = (u32)(w->random = w->random * 69069 + 1) >> 8;
			u32 size = key % 7 ? key % 100 : 3000;

			len += (size_t)sprintf(in + len, "set k%u 0 0 %u\r\n"
					       "%0*d\r\nget k%u k%u\r\n"
					       "incr k%u 1\r\n", key % 50,
					       size + 1, (int)size + 1, 7,
					       key % 31, key % 50, key % 50);
		}
		len += (size_t)sprintf(in + len, "stats\r\nstats items\r\n");
		do {
			used += memcached_run(&w->all->m, &conn,
					      (u8 *)in + used, len - used, r);
			for (u32 v = 0; v < r->count; v++)
				w->random += *(const u8 *)r->vec[v].base;
			len = r->full ? len : used;
			memcached_sent(&w->all->m, r);
		} while (used < len);
	}
	memcached_leave(&w->all->m, &conn);
	free(in);
	free(r);
	return NULL;
}

Test(memcached, threads_share_shards)
{
	struct many *all = calloc(1, sizeof(*all));
	struct worker workers[THREADS];

	for (u32 i = 0; i < SHARDS; i++) {
		struct cache_setup s = {
			.memory = { kit_page_get, kit_page_put, kit_table_get,
				    kit_table_put, &all->kits[i] },
			.budget_bytes = 1 << 20,
			.seed = { 1, 2 },
			.hot_percent = 20,
			.warm_percent = 40,
		};

		pthread_mutex_init(&all->locks[i], NULL);
		cr_assert_eq(cache_init(&all->shards[i].cache, &s), 0);
	}
	all->m = (struct memcached){ .shards = all->shards,
				     .shard_count = SHARDS,
				     .lock = lock,
				     .unlock = unlock,
				     .arg = all,
				     .version = "test",
				     .value_max = 1 << 20 };
	memcached_set_time(&all->m, 100);
	for (u32 i = 0; i < THREADS; i++) {
		workers[i].all = all;
		workers[i].random = i;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (u32 i = 0; i < SHARDS; i++) {
		cr_assert_eq(all->shards[i].cache.pending_bytes, 0);
		cache_end(&all->shards[i].cache);
		cr_assert_eq(all->kits[i].held, 0);
	}
	free(all);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a memcached server, for tests/bench/cache.sh:
 *
 *	cache_load PORT get|mg|set DEPTH REQUESTS SIZE KEYS [CONNECTIONS]
 *		requests in batches of DEPTH, each batch one send, on keys that it
 *		stores first; the connections (1) take turns. Prints "begin", then
 *		nanoseconds a request and the share of them, in per cent, in which
 *		the machine had nothing to do
 *	cache_load PORT fill COUNT SIZE
 *		stores COUNT keys of 16 bytes; prints the curr_items then there
 *	cache_load PORT zipf REQUESTS KEYS SEED
 *		gets of a Zipf-distributed trace (s = 1), storing what missed,
 *		values of 50 to 500 bytes; prints the share of hits in per cent
 *	cache_load - s3fifo REQUESTS KEYS SEED BYTES
 *		the same trace through S3-FIFO (Yang and others, 2023) of BYTES
 *		in simulation, 38 bytes an item beside key and value
 */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, ROOM = 4 << 20, CONNECTIONS_MAX = 4096,
       PREPARED = 32 };

static int sock;
static char out[ROOM], in[ROOM];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void dial(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void send_bytes(const char *from, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = write(sock, from + at, len - at);

		if (n <= 0)
			die("write");
		at += (size_t)n;
	}
}

static void send_all(size_t len)
{
	send_bytes(out, len);
}

static void receive(size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(sock, in + at, len - at);

		if (n <= 0)
			die("read");
		at += (size_t)n;
	}
}

/* Reads up to what ends in @end. */
static size_t receive_until(const char *end)
{
	size_t at = 0, n = strlen(end);

	while (at < n || memcmp(in + at - n, end, n)) {
		ssize_t got = read(sock, in + at, sizeof(in) - 1 - at);

		if (got <= 0)
			die("read");
		at += (size_t)got;
	}
	in[at] = '\0';
	return at;
}

static size_t put_set(char *to, unsigned long key, unsigned int size)
{
	int n = sprintf(to, "set key:%012lu 0 0 %u\r\n", key, size);

	memset(to + n, 'v', size);
	memcpy(to + n + size, "\r\n", 2);
	return (size_t)n + size + 2;
}

/* Keys 0 to @count - 1, or, a batch being whole, a few more. */
static void store(unsigned long count, unsigned int size)
{
	for (unsigned long i = 0; i < count; i += BATCH) {
		size_t len = 0;

		for (unsigned int j = 0; j < BATCH; j++)
			len += put_set(out + len, i + j, size);
		send_all(len);
		receive(BATCH * strlen("STORED\r\n"));
	}
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What all processors together have idled. */
static double idle_ns(void)
{
	unsigned long user, nice, system, idle;
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %lu %lu %lu %lu", &user, &nice, &system,
			 &idle) != 4)
		die("/proc/stat");
	fclose(f);
	return (double)idle * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

/* One batch of requests: its length, and in @want that of the answer. */
static size_t put_batch(const char *op, unsigned int depth, unsigned int size,
			unsigned long keys, size_t *want)
{
	static unsigned long key;
	char answer[100];
	size_t len = 0;

	*want = 0;
	for (unsigned int i = 0; i < depth; i++) {
		key = (key + 7919) % keys;
		if (*op == 's') {
			len += put_set(out + len, key, size);
			*want += strlen("STORED\r\n");
			continue;
		}
		len += (size_t)sprintf(out + len, *op == 'm' ?
				       "mg key:%012lu v\r\n" :
				       "get key:%012lu\r\n", key);
		*want += (size_t)sprintf(answer, *op == 'm' ?
					 "VA %u\r\n\r\n" :
					 "VALUE key:%012d 0 %u\r\n\r\nEND\r\n",
					 *op == 'm' ? (int)size : 0, size) + size;
	}
	return len;
}

static void load(int argc, char **argv)
{
	unsigned int depth = (unsigned int)atoi(argv[3]);
	unsigned int size = (unsigned int)atoi(argv[5]);
	unsigned long count = strtoul(argv[4], NULL, 10);
	unsigned long keys = strtoul(argv[6], NULL, 10), n = 1, turn = 0;
	struct rlimit files = { CONNECTIONS_MAX + 64, CONNECTIONS_MAX + 64 };
	static int socks[CONNECTIONS_MAX];
	static struct { char *text; size_t len, want; } batch[PREPARED];
	double began, idle;

	store(keys, size);
	if (argc > 7)
		n = strtoul(argv[7], NULL, 10);
	if (n > CONNECTIONS_MAX || (n > 1 && setrlimit(RLIMIT_NOFILE, &files)))
		die("connections");
	socks[0] = sock;
	for (unsigned long i = 1; i < n; i++) {
		dial(argv[1]);
		socks[i] = sock;
	}
	/* Made beforehand: what is measured is not how they are printed. */
	for (unsigned int i = 0; i < PREPARED; i++) {
		batch[i].len = put_batch(argv[2], depth, size, keys,
					 &batch[i].want);
		batch[i].text = memcpy(malloc(batch[i].len), out,
				       batch[i].len);
	}
	puts("begin");
	fflush(stdout);
	idle = idle_ns();
	began = now_ns();
	for (unsigned long done = 0; done < count; done += depth, turn++) {
		unsigned int i = (unsigned int)(turn % PREPARED);

		sock = socks[turn % n];
		send_bytes(batch[i].text, batch[i].len);
		receive(batch[i].want);
	}
	began = now_ns() - began;
	idle = idle_ns() - idle;
	printf("%.1f %.2f\n", began / (double)count, 100 * idle / began);
}

static unsigned long stat_of(const char *name)
{
	char row[64];
	const char *at;

	send_all((size_t)sprintf(out, "stats\r\n"));
	receive_until("END\r\n");
	sprintf(row, "STAT %s ", name);
	at = strstr(in, row);
	return at ? strtoul(at + strlen(row), NULL, 10) : 0;
}

static void fill(char **argv)
{
	unsigned long count = strtoul(argv[3], NULL, 10);
	unsigned int size = (unsigned int)atoi(argv[4]);

	store(count, size);
	printf("%lu\n", stat_of("curr_items"));
}

/* --- the trace --- */

static double *weights;
static unsigned long weight_count;
static uint64_t state;

static double uniform(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (double)(state >> 11) / (double)(1ull << 53);
}

static void trace_begin(unsigned long keys, unsigned long seed)
{
	double sum = 0;

	weights = malloc(keys * sizeof(*weights));
	weight_count = keys;
	state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned long i = 0; i < keys; i++)
		weights[i] = sum += 1.0 / (double)(i + 1);
}

static unsigned long trace_next(void)
{
	double at = uniform() * weights[weight_count - 1];
	unsigned long low = 0, high = weight_count - 1;

	while (low < high) {
		unsigned long middle = (low + high) / 2;

		if (weights[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static unsigned int size_of(unsigned long key)
{
	return 50 + (unsigned int)(key * 2654435761u % 451);
}

static void zipf(char **argv)
{
	unsigned long count = strtoul(argv[3], NULL, 10), hits = 0, asked = 0;

	trace_begin(strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	while (asked < count) {
		unsigned long key[BATCH];
		size_t len = 0, missed = 0;
		const char *at;

		for (int i = 0; i < BATCH; i++) {
			key[i] = trace_next();
			len += (size_t)sprintf(out + len,
					       "mg key:%012lu s O%d\r\n",
					       key[i], i);
		}
		len += (size_t)sprintf(out + len, "mn\r\n");
		send_all(len);
		receive_until("MN\r\n");
		len = 0;
		at = in;
		for (int i = 0; i < BATCH; i++) {
			asked++;
			if (*at == 'H') {
				hits += asked > count / 4;
			} else {
				len += put_set(out + len, key[i],
					       size_of(key[i]));
				missed++;
			}
			at = strchr(at, '\n') + 1;
		}
		if (missed) {
			send_all(len);
			receive(missed * strlen("STORED\r\n"));
		}
	}
	/* The first quarter fills the cache. */
	printf("%.3f\n", 100.0 * (double)hits / (double)(asked - count / 4));
}

/* --- S3-FIFO --- */

enum { NOWHERE, SMALL, MAIN, GHOST };

struct queue {
	unsigned long *key;
	unsigned long head, tail, room; /* a ring */
	unsigned long bytes, count;
};

static void push(struct queue *q, unsigned long key, unsigned int bytes)
{
	q->key[q->head++ % q->room] = key;
	q->bytes += bytes;
	q->count++;
}

static unsigned long pop(struct queue *q, unsigned int (*cost)(unsigned long))
{
	unsigned long key = q->key[q->tail++ % q->room];

	q->bytes -= cost(key);
	q->count--;
	return key;
}

static unsigned int cost_of(unsigned long key)
{
	return size_of(key) + 16 + 38;
}

static unsigned char *where, *uses;
static struct queue small_queue, main_queue, ghost_queue;

static void evict_main(void)
{
	for (;;) {
		unsigned long key = pop(&main_queue, cost_of);

		if (!uses[key]) {
			where[key] = NOWHERE;
			return;
		}
		uses[key]--;
		push(&main_queue, key, cost_of(key));
	}
}

static void evict_small(unsigned long most_main)
{
	unsigned long key = pop(&small_queue, cost_of);

	if (uses[key] > 1) {
		uses[key] = 0;
		where[key] = MAIN;
		push(&main_queue, key, cost_of(key));
		while (main_queue.bytes > most_main)
			evict_main();
		return;
	}
	where[key] = GHOST;
	push(&ghost_queue, key, cost_of(key));
	while (ghost_queue.count > main_queue.count + 1) {
		key = pop(&ghost_queue, cost_of);
		if (where[key] == GHOST)
			where[key] = NOWHERE;
	}
}

static void s3fifo(char **argv)
{
	unsigned long count = strtoul(argv[3], NULL, 10), hits = 0;
	unsigned long keys = strtoul(argv[4], NULL, 10);
	unsigned long bytes = strtoul(argv[6], NULL, 10);
	struct queue *all[] = { &small_queue, &main_queue, &ghost_queue };

	trace_begin(keys, strtoul(argv[5], NULL, 10));
	where = calloc(keys, 1);
	uses = calloc(keys, 1);
	for (int i = 0; i < 3; i++) {
		all[i]->room = 4 * keys;
		all[i]->key = calloc(4 * keys, sizeof(unsigned long));
	}
	for (unsigned long i = 0; i < count; i++) {
		unsigned long key = trace_next();

		if (where[key] == SMALL || where[key] == MAIN) {
			hits += i >= count / 4;
			uses[key] += uses[key] < 3;
			continue;
		}
		while (small_queue.bytes + main_queue.bytes + cost_of(key) >
		       bytes) {
			if (small_queue.bytes > bytes / 10)
				evict_small(bytes - bytes / 10);
			else
				evict_main();
		}
		uses[key] = 0;
		if (where[key] == GHOST)
			push(&main_queue, key, cost_of(key));
		else
			push(&small_queue, key, cost_of(key));
		where[key] = where[key] == GHOST ? MAIN : SMALL;
	}
	printf("%.3f\n", 100.0 * (double)hits / (double)(count - count / 4));
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	if (strcmp(argv[1], "-"))
		dial(argv[1]);
	if (!strcmp(argv[2], "fill"))
		fill(argv);
	else if (!strcmp(argv[2], "zipf"))
		zipf(argv);
	else if (!strcmp(argv[2], "s3fifo"))
		s3fifo(argv);
	else
		load(argc, argv);
	return 0;
}

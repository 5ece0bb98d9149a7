// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pipelined NBD client that costs little itself:
 *
 *	nbd_load read|write|fill BLOCK DEPTH SECONDS HOST PORT NAME PID [PSK]
 *
 * keeps DEPTH requests of BLOCK bytes at random places in flight for SECONDS and
 * prints "REQUESTS_PER_SECOND SERVER_CPU_US_PER_REQUEST". PID is the server's,
 * with its children. fill writes the whole export once, in order. PSK is the hex
 * key of user "bench": then everything goes through TLS. With a PORT like
 * 10809,10839 each request goes to both servers, and is done when both answered.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST = 28, REPLY = 16, BUFFER = 1 << 20 };

static int fd; /* the server that is being spoken to */
static int servers;
static struct pollfd to[2];
static gnutls_session_t tls;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU seconds of @pid and of its children, which nbd-server forks. */
static double cpu(int pid)
{
	char path[64];
	unsigned long long ns = 0;
	double sum = 0;
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat",
			 pid, e->d_name);
		f = fopen(path, "r");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += (double)ns / 1e9;
		if (f)
			fclose(f);
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children",
			 pid, e->d_name);
		f = fopen(path, "r");
		while (f && fscanf(f, "%d", &child) == 1)
			sum += cpu(child);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

static void put(uint8_t *p, uint64_t v, int bytes)
{
	while (bytes--) {
		p[bytes] = (uint8_t)v;
		v >>= 8;
	}
}

static void give(const void *data, size_t len)
{
	while (len) {
		ssize_t n = tls ? gnutls_record_send(tls, data, len) :
				  send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			errx(1, "send failed");
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

static size_t take_some(void *data, size_t max)
{
	ssize_t n = tls ? gnutls_record_recv(tls, data, max) :
			  recv(fd, data, max, 0);

	if (n <= 0)
		errx(1, "receive failed");
	return (size_t)n;
}

static void take(void *data, size_t len)
{
	while (len) {
		size_t n = take_some(data, len);

		data = (char *)data + n;
		len -= n;
	}
}

static void dial(const char *host, const char *port)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *a;
	int one = 1;

	if (getaddrinfo(host, port, &hint, &a))
		errx(1, "no such host");
	fd = socket(a->ai_family, SOCK_STREAM, 0);
	if (connect(fd, a->ai_addr, a->ai_addrlen))
		err(1, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void option(uint32_t number, const char *data)
{
	uint8_t head[16] = "IHAVEOPT";

	put(head + 8, number, 4);
	put(head + 12, strlen(data), 4);
	give(head, 16);
	give(data, strlen(data));
}

/* By itself GnuTLS receives twice a record; then the load is what is measured. */
static ssize_t pull(gnutls_transport_ptr_t arg, void *data, size_t len)
{
	static char buffer[BUFFER];
	static size_t at, end;

	(void)arg;
	if (at == end) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n <= 0)
			return n;
		at = 0;
		end = (size_t)n;
	}
	if (len > end - at)
		len = end - at;
	memcpy(data, buffer + at, len);
	at += len;
	return (ssize_t)len;
}

static void start_tls(char *hex)
{
	gnutls_psk_client_credentials_t psk;
	gnutls_datum_t key = { (void *)hex, (unsigned int)strlen(hex) };
	uint8_t answer[20];

	option(5, "");
	take(answer, 20);
	gnutls_psk_allocate_client_credentials(&psk);
	gnutls_psk_set_client_credentials(psk, "bench", &key,
					  GNUTLS_PSK_KEY_HEX);
	gnutls_session_t s;

	gnutls_init(&s, GNUTLS_CLIENT);
	gnutls_priority_set_direct(s, "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
				   "-CIPHER-ALL:+AES-128-GCM:-KX-ALL:"
				   "+ECDHE-PSK:+DHE-PSK:+PSK", NULL);
	gnutls_credentials_set(s, GNUTLS_CRD_PSK, psk);
	gnutls_transport_set_int(s, fd);
	gnutls_transport_set_pull_function(s, pull);
	int ret = gnutls_handshake(s);

	if (ret < 0)
		errx(1, "TLS: %s", gnutls_strerror(ret));
	tls = s;
}

static uint64_t open_export(const char *name, char *key)
{
	uint8_t b[18];

	take(b, 18);
	put(b, 3, 4);
	give(b, 4);
	if (key)
		start_tls(key);
	option(1, name);
	take(b, 10);
	uint64_t size = 0;

	for (int i = 0; i < 8; i++)
		size = size << 8 | b[i];
	return size;
}

/* Requests to be sent, gathered. */
static uint8_t out[BUFFER + (1 << 20)];
static size_t out_len;

static void give_all(void)
{
	for (int i = 0; i < servers; i++) {
		fd = to[i].fd;
		give(out, out_len);
	}
	out_len = 0;
}

static void request(int write, uint64_t offset, uint32_t block)
{
	uint8_t *at = out + out_len;

	put(at, 0x25609513, 4);
	put(at + 4, 0, 2);
	put(at + 6, (uint64_t)write, 2);
	put(at + 8, 0, 8);
	put(at + 16, offset, 8);
	put(at + 24, block, 4);
	out_len += REQUEST;
	if (write) { /* not zero anywhere */
		memset(out + out_len, 0x5a + (int)(offset >> 12) % 100, block);
		out_len += block;
	}
	if (out_len > BUFFER)
		give_all();
}

/* Connects to each server of @ports; the size of the exports. */
static uint64_t open_all(char **argv, char *key)
{
	uint64_t size = 0;
	char *rest = NULL;
	char *port;

	for (port = strtok_r(argv[6], ",", &rest); port && servers < 2;
	     port = strtok_r(NULL, ",", &rest)) {
		dial(argv[5], port);
		size = open_export(argv[7], key);
		to[servers++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	return size;
}

/* Requests of @answer bytes that all servers have answered by now. */
static uint64_t take_answers(uint8_t *in, size_t room, size_t answer)
{
	static uint64_t got[2]; /* bytes */
	uint64_t least = UINT64_MAX;

	if (servers > 1 && poll(to, 2, -1) < 0)
		err(1, "poll");
	for (int i = 0; i < servers; i++) {
		fd = to[i].fd;
		/* Only the heads matter; data is received and passed over. */
		if (servers == 1 || to[i].revents)
			got[i] += take_some(in, room);
		if (got[i] / answer < least)
			least = got[i] / answer;
	}
	return least;
}

int main(int argc, char **argv)
{
	static uint8_t in[4 << 20];

	if (argc < 9)
		errx(2, "see the top of nbd_load.c");
	int write = strcmp(argv[1], "read") != 0;
	int fill = !strcmp(argv[1], "fill");
	uint32_t block = (uint32_t)atoi(argv[2]);
	int depth = atoi(argv[3]);
	double seconds = atof(argv[4]);
	int pid = atoi(argv[8]);

	uint64_t size = open_all(argv, argc > 9 ? argv[9] : NULL);
	uint64_t blocks = size / block;
	uint64_t random = 88172645463325252ull;
	uint64_t done = 0;
	uint64_t sent = 0;
	size_t answer = REPLY + (write ? 0 : block);
	double cpu0 = cpu(pid);
	double began = now();
	double end = began + seconds;
	int ending = 0;

	while (done < sent || !ending) {
		for (; !ending && sent - done < (uint64_t)depth; sent++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			request(write, (fill ? sent : random) % blocks * block,
				block);
			if (fill && sent + 1 == blocks)
				ending = 1;
		}
		give_all();
		done = take_answers(in, sizeof(in), answer);
		if (!fill && now() >= end)
			ending = 1;
	}
	double took = now() - began;

	printf("%.1f %.3f\n", (double)done / took,
	       (cpu(pid) - cpu0) * 1e6 / (double)done);
	return 0;
}

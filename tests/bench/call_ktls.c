// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An echo from program to program over a TCP connection with TLS 1.3 by the
 * kernel, AES-128-GCM, and nothing else, for tests/bench/call.sh:
 *
 *	call_ktls serve PORT		prints "ready"; until it is killed
 *	call_ktls ADDRESS PORT COUNT	what it prints is in call_measure.h
 *
 * The keys are constants: a handshake is not what is measured.
 */
#include <arpa/inet.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "call_measure.h"

static void enable(int sock, int way, unsigned char key)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info.version = TLS_1_3_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
	};

	memset(info.key, key, sizeof(info.key));
	memset(info.salt, key, sizeof(info.salt));
	if (setsockopt(sock, SOL_TLS, way, &info, sizeof(info)))
		call_die("TLS");
}

static void prepare(int sock, unsigned char send_key, unsigned char receive_key)
{
	int one = 1;

	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(sock, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		call_die("the module tls");
	enable(sock, TLS_TX, send_key);
	enable(sock, TLS_RX, receive_key);
}

static void receive(int sock, char *got)
{
	size_t at = 0;

	while (at < CALL_BYTES) {
		ssize_t n = recv(sock, got + at, CALL_BYTES - at, 0);

		if (n <= 0)
			call_die("recv");
		at += (size_t)n;
	}
}

static void deliver(int sock, const char *bytes)
{
	if (send(sock, bytes, CALL_BYTES, MSG_NOSIGNAL) != CALL_BYTES)
		call_die("send");
}

static void call(void *data, const char *sent, char *got)
{
	deliver(*(int *)data, sent);
	receive(*(int *)data, got);
}

static void serve(struct sockaddr_in *a)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, sock;
	char bytes[CALL_BYTES];

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)a, sizeof(*a)) ||
	    listen(listener, 1))
		call_die("listen");
	puts("ready");
	fflush(stdout);
	sock = accept(listener, NULL, NULL);
	if (sock < 0)
		call_die("accept");
	prepare(sock, 2, 1);
	for (;;) {
		receive(sock, bytes);
		deliver(sock, bytes);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int sock;

	if (argc < 3)
		return 2;
	a.sin_port = htons((uint16_t)atoi(argv[2]));
	if (!strcmp(argv[1], "serve"))
		serve(&a);
	if (argc != 4 || inet_pton(AF_INET, argv[1], &a.sin_addr) != 1)
		return 2;
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof(a)))
		call_die("connect");
	prepare(sock, 1, 2);
	call_measure(strtoul(argv[3], NULL, 10), call, &sock);
	return 0;
}

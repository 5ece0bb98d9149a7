// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An echo by ONC RPC over TCP (libtirpc, which has no TLS here), for
 * tests/bench/call.sh:
 *
 *	call_tirpc serve PORT		prints "ready"; until it is killed
 *	call_tirpc ADDRESS PORT COUNT	what it prints is in call_measure.h
 *
 * What rpcgen would make of "opaque echo(opaque) = 1", with 64 bytes.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <rpc/rpc.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "call_measure.h"

enum { PROGRAM = 0x20008747, VERSION = 1, ECHO = 1 };

static bool_t xdr_data(XDR *x, ...)
{
	va_list args;
	char *bytes;

	va_start(args, x);
	bytes = va_arg(args, char *);
	va_end(args);
	return xdr_opaque(x, bytes, CALL_BYTES);
}

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
	char bytes[CALL_BYTES];

	if (request->rq_proc != ECHO)
		svcerr_noproc(transport);
	else if (!svc_getargs(transport, (xdrproc_t)xdr_data, bytes))
		svcerr_decode(transport);
	else
		svc_sendreply(transport, (xdrproc_t)xdr_data, bytes);
}

static int serve(struct sockaddr_in *a)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	SVCXPRT *transport;

	/* What it accepts inherits this. */
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)a, sizeof(*a)) ||
	    listen(listener, 1))
		call_die("listen");
	transport = svc_vc_create(listener, 0, 0);
	/* Without a network configuration it is not told to rpcbind. */
	if (!transport || !svc_reg(transport, PROGRAM, VERSION, dispatch, NULL))
		call_die("svc_reg");
	puts("ready");
	fflush(stdout);
	svc_run();
	return 1;
}

static void call(void *client, const char *sent, char *got)
{
	const struct timeval patience = { .tv_sec = 5 };
	char bytes[CALL_BYTES];

	memcpy(bytes, sent, sizeof(bytes));
	if (clnt_call((CLIENT *)client, ECHO, (xdrproc_t)xdr_data, bytes,
		      (xdrproc_t)xdr_data, got, patience) != RPC_SUCCESS) {
		clnt_perror((CLIENT *)client, "call");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct netbuf address = { .len = sizeof(a), .maxlen = sizeof(a),
				  .buf = &a };
	int sock, one = 1;
	CLIENT *client;

	if (argc < 3)
		return 2;
	a.sin_port = htons((uint16_t)atoi(argv[2]));
	if (!strcmp(argv[1], "serve"))
		return serve(&a);
	if (argc != 4 || inet_pton(AF_INET, argv[1], &a.sin_addr) != 1)
		return 2;
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&a, sizeof(a)))
		call_die("connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	client = clnt_vc_create(sock, &address, PROGRAM, VERSION, 0, 0);
	if (!client)
		call_die("clnt_vc_create");
	call_measure(strtoul(argv[3], NULL, 10), call, client);
	return 0;
}

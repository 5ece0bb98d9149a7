// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo call: a function of a kernel module, of any node, from a shell. The kernel
 * is asked, whatever virgod does.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "amount.h"
#include "kernel_call.h"
#include "verbs.h"

enum { TIMEOUT_MS = 10000, TIMEOUT_MS_MAX = 3600000 };

static const char help[] =
	"Usage: virgo call [--timeout TIME] [--hex] [--hex-argument]\n"
	"                  NODE NAME [ARGUMENT...|-]\n"
	"Calls the function NAME of a kernel module of NODE (\"\" or . : this one), and\n"
	"prints its result as it is. Several ARGUMENTs are joined by blanks; - is\n"
	"standard input.\n"
	"\n"
	"  --timeout TIME   wait for so long, like 500ms or 2m (10s)\n"
	"  --hex            print the result as hexadecimal digits and a newline\n"
	"  --hex-argument   the argument is given as such digits\n";

struct options {
	u32 timeout_ms;
	bool hex;
	bool hex_argument;
};

struct bytes {
	size_t len;
	u8 data[KERNEL_CALL_BYTES + 1];
};

static bool parse_one(int c, struct options *o)
{
	u64 ms;

	switch (c) {
	case 't':
		if (!amount_ms(optarg, &ms) || ms > TIMEOUT_MS_MAX)
			return false;
		o->timeout_ms = (u32)ms;
		return true;
	case 'x':
		o->hex = true;
		return true;
	case 'X':
		o->hex_argument = true;
		return true;
	default:
		return false;
	}
}

static bool too_long(const struct bytes *b)
{
	if (b->len <= KERNEL_CALL_BYTES)
		return false;
	fputs("virgo: call: an argument has at most 64 KiB\n", stderr);
	return true;
}

/* As much as fits and a byte more, so that too much is seen. */
static void append(struct bytes *b, const char *text)
{
	size_t room = sizeof(b->data) - b->len;
	size_t len = strlen(text);

	if (len > room)
		len = room;
	memcpy(b->data + b->len, text, len);
	b->len += len;
}

static bool read_input(struct bytes *b)
{
	ssize_t n = 1;

	while (n > 0 && b->len < sizeof(b->data)) {
		n = read(STDIN_FILENO, b->data + b->len,
			 sizeof(b->data) - b->len);
		if (n > 0)
			b->len += (size_t)n;
	}
	if (n < 0)
		perror("virgo: standard input");
	return n >= 0;
}

static int digit(u8 c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; blanks and newlines between the digits of bytes are skipped. */
static bool from_hex(struct bytes *b)
{
	size_t i = 0, out = 0;

	while (i < b->len) {
		int high, low;

		if (b->data[i] == ' ' || b->data[i] == '\n') {
			i++;
			continue;
		}
		high = digit(b->data[i]);
		low = i + 1 < b->len ? digit(b->data[i + 1]) : -1;
		if (high < 0 || low < 0)
			return false;
		b->data[out++] = (u8)(high << 4 | low);
		i += 2;
	}
	b->len = out;
	return true;
}

/* 0, or the exit status after a message. */
static int take_argument(const struct options *o, int count, char **words,
			 struct bytes *b)
{
	int i;

	if (count == 1 && !strcmp(words[0], "-")) {
		if (!read_input(b))
			return 1;
	} else {
		for (i = 0; i < count; i++) {
			append(b, i ? " " : "");
			append(b, words[i]);
		}
	}
	if (too_long(b))
		return 1;
	if (o->hex_argument && !from_hex(b))
		return verb_usage("call", "the argument is not an even number of "
					  "hexadecimal digits");
	return 0;
}

static void print_hex(const u8 *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		printf("%02x", data[i]);
	putchar('\n');
}

static int do_call(const char *node, const char *name, const struct options *o,
		   const struct bytes *argument)
{
	static u8 result[KERNEL_CALL_BYTES];
	struct failure f = { 0 };
	ssize_t n = kernel_call(strcmp(node, ".") ? node : "", name,
				argument->data, argument->len, result,
				sizeof(result), o->timeout_ms, &f);

	if (n < 0) {
		failure_print(&f, stderr);
		return 1;
	}
	if (o->hex)
		print_hex(result, (size_t)n);
	else
		fwrite(result, 1, (size_t)n, stdout);
	return 0;
}

int verb_call(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "timeout", required_argument, NULL, 't' },
		{ "hex", no_argument, NULL, 'x' },
		{ "hex-argument", no_argument, NULL, 'X' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bytes argument;
	struct options o = { .timeout_ms = TIMEOUT_MS };
	int c, ret;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (!parse_one(c, &o))
			return verb_usage("call", "see what it takes");
	}
	if (argc - optind < 2)
		return verb_usage("call", "name a node and a function");
	ret = take_argument(&o, argc - optind - 2, argv + optind + 2, &argument);
	if (ret)
		return ret;
	return do_call(argv[optind], argv[optind + 1], &o, &argument);
}

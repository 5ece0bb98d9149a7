// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hog MIB PASSES [SEED [PAUSE_MS]]: needs MIB of memory, and knows what is in each page of
 * it. Each pass reads every page, in an order drawn from the seed, checks every
 * word, and writes it anew. Prints "filled", "pass N" and "done"; 3 and the
 * number of wrong pages when one was not as written. SIGTERM ends it with the
 * pass that is under way. SIGUSR1 has it print "waited N ms", how long it waited
 * for a page at most since the last one; the end tells that of all. It pauses now
 * and then (5 ms), so that others have the processor.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, WORDS = PAGE / 8, PAUSE_PAGES = 64 };

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void fill(uint64_t *page, uint64_t number, uint64_t pass)
{
	uint64_t x = mix(number << 8 | pass);
	int i;

	for (i = 0; i < WORDS; i++)
		page[i] = x += 0x9e3779b97f4a7c15ull;
}

static int is_filled(const uint64_t *page, uint64_t number, uint64_t pass)
{
	uint64_t x = mix(number << 8 | pass);
	int i;

	for (i = 0; i < WORDS; i++)
		if (page[i] != (x += 0x9e3779b97f4a7c15ull))
			return 0;
	return 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static volatile sig_atomic_t told_to_end, asked;

static void on_signal(int number)
{
	if (number == SIGTERM)
		told_to_end = 1;
	else
		asked = 1;
}

struct hog {
	uint64_t *all;
	uint64_t pages;
	uint64_t wrong;
	uint64_t pause_ms;
	uint64_t longest_us; /* wait for a page */
	uint64_t since_asked_us;
};

static void visit(struct hog *h, uint64_t number, uint64_t pass)
{
	uint64_t *page = h->all + number * WORDS;
	uint64_t took = now_us();

	h->wrong += !is_filled(page, number, pass - 1);
	fill(page, number, pass);
	took = now_us() - took;
	if (took > h->longest_us)
		h->longest_us = took;
	if (took > h->since_asked_us)
		h->since_asked_us = took;
	if (!asked)
		return;
	asked = 0;
	printf("waited %llu ms\n",
	       (unsigned long long)h->since_asked_us / 1000);
	h->since_asked_us = 0;
}

static void run_pass(struct hog *h, uint64_t pass, uint64_t seed)
{
	const struct timespec pause_ = {
		.tv_sec = (time_t)(h->pause_ms / 1000),
		.tv_nsec = (long)(h->pause_ms % 1000) * 1000 * 1000,
	};
	uint64_t start = mix(seed + pass) % h->pages;
	/* Half in order, so that the kernel reads ahead, half not. */
	uint64_t stride = pass % 2 || h->pages % 257 == 0 ? 1 : 257;
	uint64_t i;

	for (i = 0; i < h->pages; i++) {
		visit(h, (start + i * stride) % h->pages, pass);
		if (i % PAUSE_PAGES == 0 && h->pause_ms)
			nanosleep(&pause_, NULL);
	}
	printf("pass %llu\n", (unsigned long long)pass);
}

int main(int argc, char **argv)
{
	struct hog h = { .pages = argc > 1 ? strtoull(argv[1], NULL, 10) * 256 :
					     0 };
	uint64_t passes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	uint64_t i;

	h.pause_ms = argc > 4 ? strtoull(argv[4], NULL, 10) : 5;
	if (!h.pages || !passes) {
		fputs("Usage: hog MIB PASSES [SEED [PAUSE_MS]]\n", stderr);
		return 2;
	}
	h.all = mmap(NULL, h.pages * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h.all == MAP_FAILED) {
		perror("hog");
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, on_signal);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < h.pages; i++)
		fill(h.all + i * WORDS, i, 0);
	puts("filled");
	for (i = 1; i <= passes && !told_to_end; i++)
		run_pass(&h, i, seed);
	printf("longest wait for a page: %llu ms\n",
	       (unsigned long long)h.longest_us / 1000);
	if (h.wrong) {
		printf("%llu wrong pages\n", (unsigned long long)h.wrong);
		return 3;
	}
	puts("done");
	return 0;
}

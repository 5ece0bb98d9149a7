// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hog MIB PASSES [SEED]: needs MIB of memory, and knows what is in each page of
 * it. Each pass reads every page, in an order drawn from the seed, checks every
 * word, and writes it anew. Prints "filled", "pass N" and "done"; 3 and the
 * number of wrong pages when one was not as written. SIGTERM ends it with the
 * pass that is under way. It says how long it waited for a page at most. It pauses now and then, so that others have the processor.
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

static volatile sig_atomic_t told_to_end;

static void on_term(int number)
{
	told_to_end = number;
}

int main(int argc, char **argv)
{
	uint64_t pages = argc > 1 ? strtoull(argv[1], NULL, 10) * 256 : 0;
	uint64_t passes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	const struct timespec pause_ = { .tv_nsec = 5 * 1000 * 1000 };
	uint64_t wrong = 0;
	uint64_t longest = 0, before;
	uint64_t pass, i;
	uint64_t *all;

	if (!pages || !passes) {
		fputs("Usage: hog MIB PASSES [SEED]\n", stderr);
		return 2;
	}
	all = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED) {
		perror("hog");
		return 1;
	}
	signal(SIGTERM, on_term);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < pages; i++)
		fill(all + i * WORDS, i, 0);
	puts("filled");
	for (pass = 1; pass <= passes && !told_to_end; pass++) {
		uint64_t start = mix(seed + pass) % pages;
		/* Half in order, so that the kernel reads ahead, half not. */
		uint64_t stride = pass % 2 ? 1 : 257;

		for (i = 0; i < pages; i++) {
			uint64_t n = (start + i * stride) % pages;

			if (pages % 257 == 0)
				n = (start + i) % pages;
			before = now_us();
			wrong += !is_filled(all + n * WORDS, n, pass - 1);
			fill(all + n * WORDS, n, pass);
			before = now_us() - before;
			if (before > longest)
				longest = before;
			if (i % PAUSE_PAGES == 0)
				nanosleep(&pause_, NULL);
		}
		printf("pass %llu\n", (unsigned long long)pass);
	}
	printf("longest wait for a page: %llu ms\n",
	       (unsigned long long)longest / 1000);
	if (wrong) {
		printf("%llu wrong pages\n", (unsigned long long)wrong);
		return 3;
	}
	puts("done");
	return 0;
}

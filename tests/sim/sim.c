// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs simulated clouds:
 *
 *	sim [--scenario kill|split|slow|chaos|many|scale] [--seed N] [--runs N]
 *	    [--nodes N] [--loss PPM] [--seconds N] [--budget SECONDS]
 *
 * Seeds count up from --seed (default 1). A failure prints the line that repeats
 * it and ends the program with 1. Without --nodes the number of nodes goes
 * through a range that fits the scenario; scale does 10, 1,000 and 10,000 and
 * checks the bounds of the cost and of the time to detect; many lets one node or
 * half of them die at once and checks that 99 of 100 times all have noticed within
 * 3 s, with and without loss. --budget ends the
 * runs when that much time has passed.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "swim_sim.h"

static struct {
	const char *scenario;
	u64 seed;
	u64 runs;
	u32 nodes;
	u32 loss_ppm;
	u32 seconds;
	u32 budget_s;
} opt = { "chaos", 1, 1, 0, 50000, 30, 0 };

static int failed(u64 seed, u32 nodes, const char *why)
{
	printf("FAILED %s\nagain: sim --scenario %s --seed %llu --nodes %u\n",
	       why, opt.scenario, (unsigned long long)seed, nodes);
	return 1;
}

static int run_many(void (*run)(u64, u32, char *), u32 least, u32 most)
{
	time_t begin = time(NULL);
	char failure[256];
	u64 i;

	for (i = 0; i < opt.runs; i++) {
		u64 seed = opt.seed + i;
		u32 nodes = opt.nodes
				    ? opt.nodes
				    : least + (u32)(seed % (most - least + 1));

		run(seed, nodes, failure);
		if (failure[0])
			return failed(seed, nodes, failure);
		if (opt.budget_s && time(NULL) - begin >= (time_t)opt.budget_s)
			break;
	}
	printf("%s: %llu seeds from %llu, none failed, in %ld s\n",
	       opt.scenario, (unsigned long long)(i < opt.runs ? i + 1 : i),
	       (unsigned long long)opt.seed, (long)(time(NULL) - begin));
	return 0;
}

static int scale_one(u32 nodes, struct scale_result *r)
{
	char failure[256];

	scenario_scale(opt.seed, nodes, opt.loss_ppm, opt.seconds, r, failure);
	if (failure[0])
		return failed(opt.seed, nodes, failure);
	printf("{\"nodes\":%u,\"loss_ppm\":%u,\"bytes_per_s\":%llu,"
	       "\"datagrams_per_s\":%llu.%03llu,\"detect_first_ms\":%llu,"
	       "\"detect_median_ms\":%llu,\"detect_99_ms\":%llu,"
	       "\"detect_last_ms\":%llu,\"killed\":%llu,\"seen\":%llu,"
	       "\"false_down\":%llu,\"false_suspect\":%llu}\n",
	       nodes, opt.loss_ppm, (unsigned long long)r->bytes_per_second,
	       (unsigned long long)r->datagrams_per_1000s / 1000,
	       (unsigned long long)r->datagrams_per_1000s % 1000,
	       (unsigned long long)r->detect_first_us / 1000,
	       (unsigned long long)r->detect_median_us / 1000,
	       (unsigned long long)r->detect_99_us / 1000,
	       (unsigned long long)r->detect_last_us / 1000,
	       (unsigned long long)r->killed, (unsigned long long)r->seen,
	       (unsigned long long)r->false_down,
	       (unsigned long long)r->false_suspect);
	return 0;
}

static int scale(void)
{
	static const u32 sizes[] = { 10, 1000, 10000 };
	struct scale_result r[ARRAY_SIZE(sizes)];
	u64 least, most;
	u32 i;

	if (opt.nodes)
		return scale_one(opt.nodes, &r[0]);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (scale_one(sizes[i], &r[i]))
			return 1;
		if (r[i].false_down)
			return failed(opt.seed, sizes[i], "false alarm");
		if (r[i].detect_median_us > 10000000)
			return failed(opt.seed, sizes[i], "seen down too late");
	}
	least = r[1].bytes_per_second * 80;
	most = r[1].bytes_per_second * 120;
	if (r[2].bytes_per_second * 100 < least ||
	    r[2].bytes_per_second * 100 > most)
		return failed(opt.seed, 10000, "cost grows with the cloud");
	return 0;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

enum { MANY_MOST_US = 3000000 };

/* One of a number of nodes, then half of them, die at once: how long until all
 * who live have noticed, over --runs seeds.
 */
static int many_one(u32 nodes, u32 dead, u32 loss_ppm)
{
	u64 *us = calloc(opt.runs, sizeof(*us));
	u64 i, wrong = 0;
	bool late;
	char failure[256];
	struct many_result r;

	if (!us)
		return 2;
	for (i = 0; i < opt.runs; i++) {
		scenario_many(opt.seed + i, nodes, dead, loss_ppm, &r, failure);
		if (failure[0]) {
			free(us);
			return failed(opt.seed + i, nodes, failure);
		}
		us[i] = r.most_us;
		wrong += r.false_down;
	}
	qsort(us, opt.runs, sizeof(*us), by_value);
	late = us[opt.runs * 99 / 100] > MANY_MOST_US;
	printf("{\"nodes\":%u,\"dead\":%u,\"loss_ppm\":%u,\"median_ms\":%llu,"
	       "\"p99_ms\":%llu,\"last_ms\":%llu,\"false_down\":%llu}\n",
	       nodes, dead, loss_ppm,
	       (unsigned long long)us[opt.runs / 2] / 1000,
	       (unsigned long long)us[opt.runs * 99 / 100] / 1000,
	       (unsigned long long)us[opt.runs - 1] / 1000,
	       (unsigned long long)wrong);
	fflush(stdout);
	free(us);
	if (late)
		return failed(opt.seed, nodes, "deaths noticed too late");
	return wrong ? failed(opt.seed, nodes, "false alarm") : 0;
}

static int many(void)
{
	static const u32 sizes[] = { 3, 5, 8, 16, 28, 64 };
	static const u32 loss[] = { 0, 50000 };
	int ret = 0;
	u32 i, l;

	for (l = 0; l < ARRAY_SIZE(loss); l++)
		for (i = 0; i < ARRAY_SIZE(sizes) && !ret; i++) {
			if (opt.nodes && opt.nodes != sizes[i])
				continue;
			ret = many_one(sizes[i], 1, loss[l]);
			if (!ret && sizes[i] > 3)
				ret = many_one(sizes[i], sizes[i] / 2, loss[l]);
		}
	return ret;
}

static u64 number(const char *s)
{
	char *end;
	u64 v = strtoull(s, &end, 10);

	if (!*s || *end) {
		fprintf(stderr, "sim: not a number: %s\n", s);
		exit(2);
	}
	return v;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "scenario", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "runs", required_argument, NULL, 'r' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "loss", required_argument, NULL, 'l' },
		{ "seconds", required_argument, NULL, 't' },
		{ "budget", required_argument, NULL, 'b' },
		{ 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 's':
			opt.scenario = optarg;
			break;
		case 'S':
			opt.seed = number(optarg);
			break;
		case 'r':
			opt.runs = number(optarg);
			break;
		case 'n':
			opt.nodes = (u32)number(optarg);
			break;
		case 'l':
			opt.loss_ppm = (u32)number(optarg);
			break;
		case 't':
			opt.seconds = (u32)number(optarg);
			break;
		case 'b':
			opt.budget_s = (u32)number(optarg);
			break;
		default:
			exit(2);
		}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (!strcmp(opt.scenario, "kill"))
		return run_many(scenario_kill, 3, 64);
	if (!strcmp(opt.scenario, "split"))
		return run_many(scenario_split, 4, 32);
	if (!strcmp(opt.scenario, "slow"))
		return run_many(scenario_slow, 3, 32);
	if (!strcmp(opt.scenario, "chaos"))
		return run_many(scenario_chaos, 2, 12);
	if (!strcmp(opt.scenario, "scale"))
		return scale();
	if (!strcmp(opt.scenario, "many"))
		return many();
	fprintf(stderr, "sim: no scenario %s\n", opt.scenario);
	return 2;
}

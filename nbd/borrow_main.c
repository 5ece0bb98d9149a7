// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-borrow: `virgo swap` and `virgo disk`, and the mending that virgod asks
 * for. Everything it does blocks; it is started for one task and ends.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "borrow.h"
#include "borrow_status.h"
#include "client.h"
#include "cloud.h"
#include "conf.h"
#include "protect.h"
#include "ready.h"
#include "stdfds.h"
#include "swap_area.h"

enum {
	PATIENCE_S = 30, /* a last leg's requests wait that long */
	PATIENCE_MAX_S = 3600,
	TRY_AGAIN = 10, /* exit status of tend */
};

static const char swap_name[] = "swap";

static const char swap_help[] =
	"Usage: virgo swap on SIZE [OPTION]...\n"
	"       virgo swap off [--force]\n"
	"       virgo swap status [--json]\n"
	"\n"
	"Borrows memory of other nodes as swap space. Each page is kept by two of\n"
	"them, so that either may die.\n"
	"\n"
	"  --mirror 2|1         how many lenders keep each page (2)\n"
	"  --seal               encrypt what lenders hold\n"
	"  --priority N         of this swap space, 0 to 32767\n"
	"  --plaintext-on IFACE send in the clear, by this interface only, to a\n"
	"                       lender without TLS; nodes of a cloud have TLS\n"
	"  --patience SECONDS   how long programs wait for a last lender (30)\n"
	"  --raise-min-free     raise vm.min_free_kbytes if it is too low\n"
	"  --unprotected        go on where init, virgod and the like cannot be\n"
	"                       kept out of swap\n"
	"  --force              off: also when memory will not do; then the programs\n"
	"                       that use most of it are ended\n"
	"  --json               status: for programs\n";

static const char disk_help[] =
	"Usage: virgo disk attach NAME SIZE [OPTION]...\n"
	"       virgo disk detach NAME\n"
	"       virgo disk list [--json]\n"
	"\n"
	"Borrows memory of other nodes as a disk, /dev/virgo/NAME. What is on it is\n"
	"gone when it is detached.\n"
	"\n"
	"  --mirror 2|1         how many lenders keep each block (2)\n"
	"  --plaintext-on IFACE send in the clear, by this interface only, to a\n"
	"                       lender without TLS; nodes of a cloud have TLS\n"
	"  --patience SECONDS   how long programs wait for a last lender (30)\n"
	"  --json               list: for programs\n";

struct options {
	const char *state;
	struct record r;
	bool unprotected;
	bool raise_min_free;
	bool force;
	bool json;
	bool help;
	char **words; /* what is not an option */
	int count;
};

static bool number(const char *text, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return *text && !*end && !errno && *out >= min && *out <= max;
}

static int usage(const char *verb, const char *message)
{
	fprintf(stderr, "virgo: %s: %s. Try: virgo %s --help\n", verb, message,
		verb);
	return 2;
}

/* Gives the exit status, or -1 to go on. */
static int take_option(struct options *o, int c, const char *verb)
{
	long v;

	switch (c) {
	case 'm':
		if (!number(optarg, 1, 2, &v))
			return usage(verb, "--mirror is 1 or 2");
		o->r.mirror = (u32)v;
		return -1;
	case 'P':
		if (!number(optarg, 0, 32767, &v))
			return usage(verb, "--priority is 0 to 32767");
		o->r.priority = (int)v;
		return -1;
	case 't':
		if (!number(optarg, 1, PATIENCE_MAX_S, &v))
			return usage(verb, "--patience is 1 to 3600 seconds");
		o->r.patience_s = (u32)v;
		return -1;
	case 'p':
		if (!*optarg || strlen(optarg) >= sizeof(o->r.plaintext_on) ||
		    strpbrk(optarg, " \n/"))
			return usage(verb, "--plaintext-on takes an interface");
		strcpy(o->r.plaintext_on, optarg);
		return -1;
	case 's':
		o->r.seal = true;
		return -1;
	case 'u':
		o->unprotected = true;
		return -1;
	case 'r':
		o->raise_min_free = true;
		return -1;
	case 'f':
		o->force = true;
		return -1;
	case 'j':
		o->json = true;
		return -1;
	case 'S':
		o->state = optarg;
		return -1;
	case 'h':
		o->help = true;
		return -1;
	default:
		return usage(verb, "that is no option of it");
	}
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "mirror", required_argument, NULL, 'm' },
		{ "seal", no_argument, NULL, 's' },
		{ "priority", required_argument, NULL, 'P' },
		{ "plaintext-on", required_argument, NULL, 'p' },
		{ "patience", required_argument, NULL, 't' },
		{ "raise-min-free", no_argument, NULL, 'r' },
		{ "unprotected", no_argument, NULL, 'u' },
		{ "force", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "state", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *verb = argc > 1 ? argv[1] : "swap";
	int ret;
	int c;

	*o = (struct options){ .state = getenv("VIRGO_STATE") };
	if (!o->state)
		o->state = VIRGO_DEFAULT_STATE;
	o->r = (struct record){ .mirror = 2, .priority = -1, .md = -1,
				.patience_s = PATIENCE_S };
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		ret = take_option(o, c, verb);
		if (ret >= 0)
			return ret;
	}
	o->words = argv + optind;
	o->count = argc - optind;
	return -1;
}

static void told(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

static void told_protected(const char *name)
{
	printf("%s: kept out of swap\n", name);
}

static int failed(const struct failure *f)
{
	failure_print(f, stderr);
	return 1;
}

/* md takes the size of an array without metadata as a signed number of KiB. */
static int size_of(const char *verb, const char *text, u64 *bytes)
{
	if (!conf_parse_size(text, bytes) || *bytes < 1 << 20 ||
	    *bytes % (1 << 20) || *bytes >> 41)
		return usage(verb, "a size is like 512M or 8G, below 2T");
	return -1;
}

/* A guard that has nothing to watch ends. */
static void end_idle_guard(struct borrower *b)
{
	struct guard_message bye = { .op = GUARD_END };
	struct failure busy;

	if (b->guard >= 0)
		guard_call(b->guard, &bye, &busy);
}

/* Forms o->r, then puts it to use; afterwards virgod looks after it. */
static int form(struct options *o, int (*use)(struct borrower *b,
					      struct options *o,
					      struct failure *f))
{
	struct borrower b = { .told = told };
	struct failure f = { 0 }, second;
	struct record old;
	int lock = records_lock(o->state, true, &f);
	int ret;

	if (lock < 0)
		return failed(&f);
	if (!record_load(&old, o->state, o->r.name)) {
		failure_set(&f, -EEXIST, o->r.name, o->r.swap ?
			    "virgo swap status" : "virgo disk list",
			    "it is there already");
		close(lock);
		return failed(&f);
	}
	ret = borrower_open(&b, o->state, true, &f);
	if (!ret)
		ret = borrow_form(&b, &o->r, &f);
	if (!ret) {
		ret = use(&b, o, &f);
		if (ret)
			borrow_undo(&b, &o->r, &second);
	}
	close(lock); /* before virgod looks after it */
	if (!ret)
		ret = cloud_tend(b.cloud, &f);
	else
		end_idle_guard(&b);
	borrower_close(&b);
	return ret ? failed(&f) : 0;
}

static int use_as_swap(struct borrower *b, struct options *o,
		       struct failure *f)
{
	char device[64];
	int ret;

	record_device(&o->r, device, sizeof(device));
	ret = swap_area_on(device, o->r.bytes, o->r.priority, f);
	if (ret)
		return ret;
	o->r.ready = true;
	ret = record_save(&o->r, b->state, f);
	if (ret) {
		struct failure second;

		swap_area_off(device, true, told, &second);
		return ret;
	}
	printf("%s: %llu MiB of swap\n", device,
	       (unsigned long long)(o->r.bytes >> 20));
	return 0;
}

static int use_as_disk(struct borrower *b, struct options *o,
		       struct failure *f)
{
	int ret;

	o->r.ready = true;
	ret = record_save(&o->r, b->state, f);
	if (ret)
		return ret;
	borrow_link(&o->r);
	printf("/dev/virgo/%s: %llu MiB\n", o->r.name,
	       (unsigned long long)(o->r.bytes >> 20));
	return 0;
}

static int check(const struct options *o, struct failure *f)
{
	const struct ready_wish w = { .plaintext = o->r.plaintext_on[0],
				      .seal = o->r.seal,
				      .swap = o->r.swap,
				      .raise_min_free = o->raise_min_free };
	int ret = ready_check(&w, told, f);

	if (!ret && o->r.swap && !o->unprotected)
		ret = protect_essential(told_protected, f);
	return ret;
}

static int swap_on(struct options *o)
{
	struct failure f = { 0 };
	int ret = o->count == 3 ? size_of("swap", o->words[2], &o->r.bytes) :
				  usage("swap", "on takes a size");

	if (ret >= 0)
		return ret;
	strcpy(o->r.name, swap_name);
	o->r.swap = true;
	return check(o, &f) ? failed(&f) : form(o, use_as_swap);
}

static int disk_attach(struct options *o)
{
	struct failure f = { 0 };
	int ret = o->count == 4 ? size_of("disk", o->words[3], &o->r.bytes) :
				  usage("disk", "attach takes a name and a "
						"size");

	if (ret >= 0)
		return ret;
	if (!record_name_valid(o->words[2]) || !strcmp(o->words[2], swap_name))
		return usage("disk", "a name is a few small letters, digits "
				     "and .-_, and not 'swap'");
	if (o->r.seal || o->r.priority >= 0)
		return usage("disk", "that is no option of it");
	strcpy(o->r.name, o->words[2]);
	return check(o, &f) ? failed(&f) : form(o, use_as_disk);
}

static int end(struct options *o, const char *name, bool swap)
{
	struct borrower b = { .told = told };
	struct failure f = { 0 };
	char device[64];
	int lock = records_lock(o->state, true, &f);
	int ret;

	if (lock < 0)
		return failed(&f);
	if (record_load(&o->r, o->state, name) || o->r.swap != swap) {
		failure_set(&f, -ENOENT, name, swap ? "virgo swap status" :
			    "virgo disk list", "there is none");
		return failed(&f);
	}
	ret = borrower_open(&b, o->state, false, &f);
	record_device(&o->r, device, sizeof(device));
	if (!ret && swap)
		ret = swap_area_off(device, o->force, told, &f);
	if (!ret)
		ret = borrow_undo(&b, &o->r, &f);
	if (!ret) {
		if (swap)
			printf("%s: off\n", device);
		else
			borrow_unlink(&o->r);
		end_idle_guard(&b);
	}
	borrower_close(&b);
	return ret ? failed(&f) : 0;
}

/* For virgod: mends everything; its exit status says whether to come again. */
struct tending {
	struct borrower b;
	enum tended worst;
};

static int tend_one(struct record *r, void *arg)
{
	struct tending *t = arg;
	enum tended is = borrow_tend(&t->b, r);

	if (is > t->worst)
		t->worst = is;
	return 0;
}

static int is_there(struct record *r, void *arg)
{
	return 1;
}

static int tend(const struct options *o)
{
	struct tending t = { .b.told = told };
	struct failure f = { 0 };
	int lock = records_lock(o->state, false, &f);

	if (lock == -EAGAIN)
		return TRY_AGAIN; /* someone is at it */
	if (lock < 0)
		return failed(&f);
	if (!records_each(o->state, is_there, NULL))
		return 0;
	if (borrower_open(&t.b, o->state, false, &f)) {
		failure_print(&f, stderr);
		return TRY_AGAIN;
	}
	records_each(o->state, tend_one, &t);
	borrower_close(&t.b);
	return t.worst == TENDED_WELL ? 0 : TRY_AGAIN;
}

static int run(struct options *o)
{
	const char *verb = o->count ? o->words[0] : "";
	const char *what = o->count > 1 ? o->words[1] : "";
	bool swap = !strcmp(verb, "swap");

	if (!strcmp(verb, "tend") && o->count == 1)
		return tend(o);
	if (!swap && strcmp(verb, "disk"))
		return usage("swap", "swap or disk?");
	if (o->help) {
		fputs(swap ? swap_help : disk_help, stdout);
		return 0;
	}
	if (!strcmp(what, swap ? "on" : "attach"))
		return swap ? swap_on(o) : disk_attach(o);
	if (swap && !strcmp(what, "off") && o->count == 2)
		return end(o, swap_name, true);
	if (!swap && !strcmp(what, "detach") && o->count == 3)
		return end(o, o->words[2], false);
	if (!strcmp(what, swap ? "status" : "list") && o->count == 2)
		return borrow_status(o->state, swap, o->json);
	return usage(verb, swap ? "on, off or status?" :
				  "attach, detach or list?");
}

int main(int argc, char **argv)
{
	struct options o;
	int ret;

	stdfds_ensure();
	signal(SIGPIPE, SIG_IGN);
	ret = parse(&o, argc, argv);
	return ret >= 0 ? ret : run(&o);
}

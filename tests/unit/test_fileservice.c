// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file service without a network: sealed handles, the descriptor cache, who
 * may mount, names, and operations on a folder in memory.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "filejob.h"
#include "opname.h"

static const u8 key[FILEHANDLE_KEY] = { 1, 2, 3 };

Test(filehandle, only_the_key_opens_it)
{
	const u8 body[12] = "twelve bytes";
	const struct filehandle in = { .volume = 77, .kind = FILEHANDLE_STORE,
				       .len = 12, .type = -5, .body = body };
	u8 other[FILEHANDLE_KEY] = { 1, 2, 4 };
	u8 wire[FILEHANDLE_MAX];
	struct filehandle out;
	int len = filehandle_seal(&in, key, wire);
	struct span s = { wire, (u32)len };
	u32 at;

	cr_assert_eq(len, FILEHANDLE_HEAD + 12 + FILEHANDLE_MAC);
	cr_assert_eq(filehandle_open(&out, key, s), 0);
	cr_assert(out.volume == 77 && out.kind == FILEHANDLE_STORE &&
		  out.len == 12 && out.type == -5 && !memcmp(out.body, body, 12));
	cr_assert_eq(filehandle_volume(s), 77);
	cr_assert_eq(filehandle_open(&out, other, s), -ESTALE);
	for (at = 0; at < s.len * 8; at++) {
		wire[at / 8] ^= (u8)(1 << at % 8);
		cr_assert_eq(filehandle_open(&out, key, s), -ESTALE);
		wire[at / 8] ^= (u8)(1 << at % 8);
	}
	for (at = 0; at < s.len; at++)
		cr_assert_eq(filehandle_open(&out, key,
					     (struct span){ wire, at }),
			     -ESTALE);
}

Test(descriptors, counted_bounded_dropped)
{
	struct descriptors *ds = descriptors_new(10);
	struct descriptor *held, *d;
	char name[32];
	int i;

	held = descriptors_add(ds, span_of("handle-held"),
			       open("/", O_PATH | O_CLOEXEC), 1, true);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "handle-%d", i);
		d = descriptors_add(ds, span_of(name),
				    open("/", O_PATH | O_CLOEXEC), 1000, false);
		descriptors_put(ds, d);
	}
	cr_assert_null(descriptors_find(ds, span_of("handle-0")));
	d = descriptors_find(ds, span_of("handle-99"));
	cr_assert_not_null(d);
	descriptors_drop(ds, 1000);
	cr_assert_null(descriptors_find(ds, span_of("handle-98")));
	cr_assert_geq(fcntl(d->fd, F_GETFD), 0, "still ours");
	descriptors_put(ds, d);
	cr_assert_eq(descriptors_find(ds, span_of("handle-held")), held);
	descriptors_put(ds, held);
	descriptors_put(ds, held);
	descriptors_sweep(ds, (u64)-1);
	cr_assert_null(descriptors_find(ds, span_of("handle-held")));
	descriptors_free(ds);
}

Test(volume, who_may_mount)
{
	static const struct {
		const char *allow, *node;
		bool may, read_only;
	} cases[] = {
		{ "", "any", true, false },
		{ "*", "any", true, false },
		{ "*:ro", "any", true, true },
		{ "beta", "beta", true, false },
		{ "beta", "bet", false, false },
		{ "beta", "beta2", false, false },
		{ "alpha,beta:ro", "beta", true, true },
		{ "*:ro,beta", "beta", true, false },
		{ "beta:ro,*", "beta", true, true },
		{ "beta:ro,*", "gamma", true, false },
		{ "ro", "beta", false, false },
		{ ",,", "beta", false, false },
	};
	bool read_only;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(volume_allows(cases[i].allow, cases[i].node,
					   &read_only),
			     cases[i].may, "%s", cases[i].allow);
		cr_assert(!cases[i].may || read_only == cases[i].read_only,
			  "%s", cases[i].allow);
	}
}

Test(opname, one_component)
{
	char out[FILE_NAME_BYTES_MAX + 1];
	char longest[257];

	memset(longest, 'x', 256);
	longest[256] = '\0';
	cr_assert_eq(opname_take(span_of("a b\n"), out), 0);
	cr_assert_str_eq(out, "a b\n");
	cr_assert_eq(opname_take(span_of("..."), out), 0);
	cr_assert_eq(opname_take(span_of("."), out), -EINVAL);
	cr_assert_eq(opname_take(span_of(".."), out), -EINVAL);
	cr_assert_eq(opname_take(span_of(""), out), -EINVAL);
	cr_assert_eq(opname_take(span_of("a/b"), out), -EINVAL);
	cr_assert_eq(opname_take((struct span){ (const u8 *)"a\0b", 3 }, out),
		     -EINVAL);
	cr_assert_eq(opname_take(span_of(longest), out), -ENAMETOOLONG);
	cr_assert_eq(opname_take(span_of(longest + 1), out), 0);
}

Test(filesession, answers_are_kept_within_bounds)
{
	struct filesession *s = filesession_new("beta", (const u8[16]){ 0 });
	u8 *big = calloc(1, 300000);
	u64 tag;

	for (tag = 1; tag <= 3000; tag++)
		filesession_keep_reply(s, tag, MSG_OK, "x", 1);
	cr_assert_null(filesession_reply(s, 1));
	cr_assert_not_null(filesession_reply(s, 3000));
	for (tag = 4000; tag < 4010; tag++)
		filesession_keep_reply(s, tag, MSG_OK, big, 300000);
	cr_assert_leq(s->reply_bytes, FILESESSION_REPLY_BYTES);
	cr_assert_not_null(filesession_reply(s, 4009));
	cr_assert_null(filesession_reply(s, 4000));
	cr_assert(filesession_tell(s, FILE_ID_USER, 5));
	cr_assert(!filesession_tell(s, FILE_ID_USER, 5));
	cr_assert(filesession_tell(s, FILE_ID_GROUP, 5));
	free(big);
	filesession_free(s, true);
}

/* A volume in memory, a session with root as user 0, and what a request needs. */
struct bench {
	char dir[64];
	struct volume *volume;
	struct filesession *session;
	struct descriptors *descriptors;
	u8 root[FILEHANDLE_MAX];
	struct span root_handle;
};

static void bench_open(struct bench *b)
{
	const u8 id[16] = { 9, 9 };
	struct rec_volume_row row = { .name = span_of("test"),
				      .squash = span_of("none"),
				      .idmap = span_of("numeric"),
				      .id = { id, 16 },
				      .slot = 1 };
	const struct msg_file_cred cred = { .user = span_of("root") };
	struct failure f = { 0 };
	int len;

	if (geteuid())
		cr_skip_test("needs root, to act as other users");
	strcpy(b->dir, "/dev/shm/virgo-files-XXXXXX");
	cr_assert(mkdtemp(b->dir));
	row.path = span_of(b->dir);
	cr_assert_eq(volume_open(&b->volume, &row, key, NULL, &f), 0, "%s",
		     f.what);
	b->session = filesession_new("beta", id);
	b->descriptors = descriptors_new(64);
	filesession_attach(b->session, b->volume, false);
	filesession_set_user(b->session, 0, fsuser_new(&cred));
	len = volume_handle(b->volume, b->volume->root_fd, "", b->root);
	cr_assert_gt(len, 0);
	b->root_handle = (struct span){ b->root, (u32)len };
}

static void bench_close(struct bench *b)
{
	char command[128];

	filesession_free(b->session, true);
	descriptors_free(b->descriptors);
	volume_put(b->volume);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	cr_assert_eq(system(command), 0);
}

static struct job *request(struct bench *b, u16 type, const u8 *p, size_t len)
{
	struct job *j = job_new(fileop_of(type), 1, p, (u32)len);

	j->session = b->session;
	j->descriptors = b->descriptors;
	j->user = filesession_user(b->session, 0);
	return j;
}

#define REQUEST(b, NAME, name, m)                                              \
	({                                                                     \
		u8 buf_[2048];                                                 \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
		struct job *j_;                                                \
									       \
		msg_##name##_encode(&w_, m);                                   \
		j_ = request(b, MSG_##NAME, buf_, wcursor_len(&w_));           \
		j_->ret = job_run(j_);                                         \
		j_;                                                            \
	})

Test(fileops, create_write_read_remove)
{
	struct bench b;
	struct msg_file_create create = { .name = span_of("f"),
					  .flags = FILE_OPEN_READ |
						   FILE_OPEN_WRITE |
						   FILE_OPEN_EXCLUSIVE,
					  .mode = 0666, .umask = 0027 };
	struct msg_file_unlink unlink_m = { .name = span_of("f") };
	struct msg_file_write write_m = { .offset = 2,
					  .data = span_of("hello") };
	struct msg_file_read read_m = { .count = 100 };
	struct msg_file_release release = { 0 };
	struct msg_file_created made;
	struct rec_attr a;
	struct job *j;

	bench_open(&b);
	create.dir = unlink_m.dir = b.root_handle;
	j = REQUEST(&b, FILE_CREATE, file_create, &create);
	cr_assert_eq(j->ret, 0);
	cr_assert_eq(msg_file_created_decode(&made, j->reply, j->reply_len), 0);
	cr_assert_eq(made.attr.len, ATTR_BYTES);
	cr_assert_eq(rec_attr_decode(&a, made.attr.data, made.attr.len), 0);
	cr_assert_eq(a.mode, S_IFREG | 0640);
	write_m.file = read_m.file = release.file = made.file;
	job_free(j);
	j = REQUEST(&b, FILE_CREATE, file_create, &create);
	cr_assert_eq(j->ret, -EEXIST);
	job_free(j);
	j = REQUEST(&b, FILE_WRITE, file_write, &write_m);
	cr_assert_eq(j->ret, 0);
	job_free(j);
	j = REQUEST(&b, FILE_UNLINK, file_unlink, &unlink_m);
	cr_assert_eq(j->ret, 0);
	job_free(j);
	j = REQUEST(&b, FILE_READ, file_read, &read_m); /* without a name */
	cr_assert(j->ret == 0 && j->body_len == 7 &&
		  !memcmp(j->body, "\0\0hello", 7));
	job_free(j);
	j = REQUEST(&b, FILE_RELEASE, file_release, &release);
	cr_assert_eq(j->ret, 0);
	job_free(j);
	j = REQUEST(&b, FILE_READ, file_read, &read_m);
	cr_assert_eq(j->ret, -EBADF);
	job_free(j);
	cr_assert_eq(filesession_open_count(), 0);
	bench_close(&b);
}

Test(fileops, an_open_by_a_name_that_moved_on_is_stale)
{
	struct bench b;
	struct msg_file_lookup lookup = { .name = span_of("f") };
	struct msg_file_open open_m = { .name = span_of("f"),
					.flags = FILE_OPEN_READ,
					.prefetch = 100 };
	struct msg_file_entry entry;
	struct msg_file_opened opened;
	u8 handle[FILEHANDLE_MAX];
	char path[128], new[128];
	struct job *j;

	bench_open(&b);
	snprintf(path, sizeof(path), "%s/f", b.dir);
	snprintf(new, sizeof(new), "%s/new", b.dir);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	lookup.dir = open_m.dir = b.root_handle;
	j = REQUEST(&b, FILE_LOOKUP, file_lookup, &lookup);
	cr_assert_eq(j->ret, 0);
	msg_file_entry_decode(&entry, j->reply, j->reply_len);
	memcpy(handle, entry.handle.data, entry.handle.len);
	open_m.handle = (struct span){ handle, entry.handle.len };
	job_free(j);
	j = REQUEST(&b, FILE_OPEN, file_open, &open_m);
	cr_assert_eq(j->ret, 0);
	msg_file_opened_decode(&opened, j->reply, j->reply_len);
	filesession_release(b.session, opened.file);
	job_free(j);
	close(open(new, O_CREAT | O_WRONLY, 0644));
	cr_assert_eq(rename(new, path), 0);
	j = REQUEST(&b, FILE_OPEN, file_open, &open_m);
	cr_assert_eq(j->ret, -ESTALE);
	job_free(j);
	bench_close(&b);
}

Test(fileops, cut_requests_are_refused)
{
	struct bench b;
	u8 junk[64];
	u16 type;
	u32 len;

	bench_open(&b);
	memset(junk, 0xff, sizeof(junk));
	for (type = MSG_FILE_ATTACH; type <= MSG_FILE_COPY; type++)
		for (len = 0; fileop_of(type) && len < sizeof(junk); len++) {
			struct job *j = request(&b, type, junk, len);

			cr_assert_neq(job_run(j), 0, "message %u of %u bytes",
				      type, len);
			job_free(j);
		}
	bench_close(&b);
}

/* One session may have several owners of locks: the programs of a mount. */
enum { OWNER_A = 11, OWNER_B = 22, PID_A = 111 };

static int set_lock(struct bench *b, u64 file, u64 owner, u8 type, u64 start,
		    u64 end)
{
	const struct msg_file_setlk m = { .file = file,
					  .owner = owner,
					  .pid = PID_A,
					  .type = type,
					  .start = start,
					  .end = end };
	struct job *j = REQUEST(b, FILE_SETLK, file_setlk, &m);
	int ret = j->ret;

	job_free(j);
	return ret;
}

static struct msg_file_lock get_lock(struct bench *b, u64 file, u64 owner)
{
	const struct msg_file_getlk m = { .file = file,
					  .owner = owner,
					  .type = FILE_LOCK_WRITE,
					  .end = INT64_MAX };
	struct job *j = REQUEST(b, FILE_GETLK, file_getlk, &m);
	struct msg_file_lock got;

	cr_assert_eq(j->ret, 0);
	cr_assert_eq(msg_file_lock_decode(&got, j->reply, j->reply_len), 0);
	job_free(j);
	return got;
}

static u64 lockable(struct bench *b)
{
	struct msg_file_create create = { .dir = b->root_handle,
					  .name = span_of("f"),
					  .flags = FILE_OPEN_READ |
						   FILE_OPEN_WRITE,
					  .mode = 0600 };
	struct job *j = REQUEST(b, FILE_CREATE, file_create, &create);
	struct msg_file_created made;

	cr_assert_eq(j->ret, 0);
	cr_assert_eq(msg_file_created_decode(&made, j->reply, j->reply_len), 0);
	job_free(j);
	return made.file;
}

Test(fileops, locks_of_ranges_belong_to_their_owner)
{
	struct msg_file_unlock_owner over = { .owner = OWNER_A };
	struct msg_file_lock got;
	struct bench b;
	struct job *j;
	u64 f;

	bench_open(&b);
	over.file = f = lockable(&b);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_WRITE, 10, 19), 0);
	got = get_lock(&b, f, OWNER_B);
	cr_assert(got.type == FILE_LOCK_WRITE && got.start == 10 &&
		  got.end == 19 && got.pid == PID_A);
	cr_assert_eq(get_lock(&b, f, OWNER_A).type, FILE_LOCK_NONE);
	cr_assert_eq(set_lock(&b, f, OWNER_B, FILE_LOCK_READ, 19, 30), -EAGAIN);
	cr_assert_eq(set_lock(&b, f, OWNER_B, FILE_LOCK_READ, 20, 30), 0);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_NONE, 15, 19), 0);
	cr_assert_eq(get_lock(&b, f, OWNER_B).end, 14);
	/* The owner has closed the file: all it held here goes, and no more. */
	j = REQUEST(&b, FILE_UNLOCK_OWNER, file_unlock_owner, &over);
	cr_assert_eq(j->ret, 0);
	job_free(j);
	cr_assert_eq(get_lock(&b, f, OWNER_B).type, FILE_LOCK_NONE);
	cr_assert_eq(get_lock(&b, f, OWNER_A).type, FILE_LOCK_READ);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_WRITE, 40, INT64_MAX),
		     0);
	cr_assert_eq(get_lock(&b, f, OWNER_B).end, INT64_MAX);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_NONE + 1, 0, 1),
		     -EINVAL);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_READ, 2, 1), -EINVAL);
	cr_assert_eq(set_lock(&b, f, OWNER_A, FILE_LOCK_READ,
			      (u64)INT64_MAX + 1, UINT64_MAX),
		     -EINVAL);
	filesession_release(b.session, f);
	bench_close(&b);
}

#define AGAIN(b, NAME, name, m, since, marked, by_others)                      \
	({                                                                     \
		u8 buf_[2048];                                                 \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
		struct job *j_;                                                \
		int ret_;                                                      \
									       \
		msg_##name##_encode(&w_, m);                                   \
		j_ = request(b, MSG_##NAME, buf_, wcursor_len(&w_));           \
		j_->again = true;                                              \
		j_->shared = by_others;                                        \
		j_->begun = (struct replies_begun){ .since_ns = since,         \
						    .mark = marked };          \
		j_->started_ns = INT64_MAX;                                    \
		ret_ = job_run(j_);                                            \
		job_free(j_);                                                  \
		ret_;                                                          \
	})

static struct stat stat_of(const struct bench *b, const char *name)
{
	char path[128];
	struct stat st = { 0 };

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	lstat(path, &st);
	return st;
}

static void put(const struct bench *b, const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(again, a_name_is_made_once)
{
	struct msg_file_mkdir m = { .name = span_of("d"), .mode = 0755 };
	struct msg_file_symlink link_m = { .name = span_of("d"),
					   .target = span_of("t") };
	struct bench b;

	bench_open(&b);
	m.dir = link_m.dir = b.root_handle;
	cr_assert_eq(AGAIN(&b, FILE_MKDIR, file_mkdir, &m, 1, 0, false), 0,
		     "not done: it is now");
	cr_assert(S_ISDIR(stat_of(&b, "d").st_mode));
	cr_assert_eq(AGAIN(&b, FILE_MKDIR, file_mkdir, &m, 1, 0, false), 0,
		     "done");
	cr_assert_eq(AGAIN(&b, FILE_MKDIR, file_mkdir, &m, INT64_MAX, 0, false),
		     -EEXIST, "it was there before");
	cr_assert_eq(AGAIN(&b, FILE_MKDIR, file_mkdir, &m, 1, 0, true), -EIO,
		     "another session's, perhaps");
	cr_assert_eq(AGAIN(&b, FILE_SYMLINK, file_symlink, &link_m, 1, 0, false),
		     -EEXIST, "it is something else");
	bench_close(&b);
}

Test(again, a_file_is_made_once_and_open)
{
	struct msg_file_create m = { .name = span_of("f"),
				     .flags = FILE_OPEN_WRITE |
					      FILE_OPEN_TRUNCATE |
					      FILE_OPEN_EXCLUSIVE };
	struct bench b;

	bench_open(&b);
	m.dir = b.root_handle;
	put(&b, "f", "kept");
	cr_assert_eq(AGAIN(&b, FILE_CREATE, file_create, &m, 1, 0, false), 0);
	cr_assert_eq(filesession_open_count(), 1);
	cr_assert_eq(stat_of(&b, "f").st_size, 4, "it is not cut off again");
	bench_close(&b);
}

Test(again, a_name_is_removed_once)
{
	struct msg_file_unlink m = { .name = span_of("f") };
	struct bench b;
	u64 ino;

	bench_open(&b);
	m.dir = b.root_handle;
	put(&b, "f", "");
	ino = stat_of(&b, "f").st_ino;
	cr_assert_eq(AGAIN(&b, FILE_UNLINK, file_unlink, &m, INT64_MAX, ino,
			   false),
		     0, "not done: it is now");
	cr_assert_eq(stat_of(&b, "f").st_ino, 0);
	cr_assert_eq(AGAIN(&b, FILE_UNLINK, file_unlink, &m, 1, ino, false), 0,
		     "done");
	cr_assert_eq(AGAIN(&b, FILE_UNLINK, file_unlink, &m, 1, ino, true),
		     -EIO, "or another session did");
	cr_assert_eq(AGAIN(&b, FILE_UNLINK, file_unlink, &m, 1, 0, false),
		     -ENOENT, "it had not looked yet");
	put(&b, "f", "");
	cr_assert_eq(AGAIN(&b, FILE_UNLINK, file_unlink, &m, 1,
			   stat_of(&b, "f").st_ino, false),
		     0, "done, and the name is another's since");
	cr_assert_neq(stat_of(&b, "f").st_ino, 0);
	bench_close(&b);
}

Test(again, a_rename_or_link_happens_once)
{
	struct msg_file_rename m = { .name = span_of("a"),
				     .to_name = span_of("b") };
	struct msg_file_lookup look = { .name = span_of("b") };
	struct msg_file_link link_m = { .name = span_of("c") };
	struct msg_file_entry entry;
	struct bench b;
	struct job *j;
	u64 ino;

	bench_open(&b);
	m.dir = m.to_dir = look.dir = link_m.dir = b.root_handle;
	put(&b, "a", "");
	ino = stat_of(&b, "a").st_ino;
	cr_assert_eq(AGAIN(&b, FILE_RENAME, file_rename, &m, 1, ino, false), 0);
	cr_assert_eq(stat_of(&b, "b").st_ino, ino);
	cr_assert_eq(AGAIN(&b, FILE_RENAME, file_rename, &m, 1, ino, false), 0,
		     "done");
	cr_assert_eq(AGAIN(&b, FILE_RENAME, file_rename, &m, 1, ino + 1, false),
		     -EIO, "somebody was there");
	j = REQUEST(&b, FILE_LOOKUP, file_lookup, &look);
	msg_file_entry_decode(&entry, j->reply, j->reply_len);
	link_m.handle = entry.handle;
	cr_assert_eq(AGAIN(&b, FILE_LINK, file_link, &link_m, 1, 1, false), 0);
	cr_assert_eq(AGAIN(&b, FILE_LINK, file_link, &link_m, 1, 1, false), 0,
		     "done");
	cr_assert_eq(AGAIN(&b, FILE_LINK, file_link, &link_m, 1, 2, false),
		     -EEXIST, "it was there before");
	cr_assert_eq(stat_of(&b, "b").st_nlink, 2);
	job_free(j);
	bench_close(&b);
}

Test(again, bytes_are_appended_once)
{
	struct msg_file_create create = { .name = span_of("f"),
					  .flags = FILE_OPEN_WRITE |
						   FILE_OPEN_APPEND,
					  .mode = 0600 };
	struct msg_file_write m = { .data = span_of("line\n") };
	struct msg_file_created made;
	struct bench b;
	struct job *j;

	bench_open(&b);
	create.dir = b.root_handle;
	put(&b, "f", "old\n");
	j = REQUEST(&b, FILE_CREATE, file_create, &create);
	msg_file_created_decode(&made, j->reply, j->reply_len);
	m.file = made.file;
	job_free(j);
	cr_assert_eq(AGAIN(&b, FILE_WRITE, file_write, &m, 1, 4 + 1, false), 0,
		     "not done: it is now");
	cr_assert_eq(stat_of(&b, "f").st_size, 9);
	cr_assert_eq(AGAIN(&b, FILE_WRITE, file_write, &m, 1, 4 + 1, false), 0,
		     "done");
	cr_assert_eq(stat_of(&b, "f").st_size, 9);
	cr_assert_eq(AGAIN(&b, FILE_WRITE, file_write, &m, 1, 3 + 1, false),
		     -EIO, "somebody else's bytes");
	put(&b, "f", "li");
	cr_assert_eq(AGAIN(&b, FILE_WRITE, file_write, &m, 1, 9 + 1, false), 0,
		     "killed in the middle of it");
	cr_assert_eq(stat_of(&b, "f").st_size, 14);
	bench_close(&b);
}

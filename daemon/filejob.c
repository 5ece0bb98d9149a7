// SPDX-License-Identifier: GPL-2.0-or-later
/* Life of a file request in a worker; the contract is in filejob.h. */
#include "filejob.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct job *job_new(const struct fileop *op, u64 tag, const void *payload,
		    u32 len)
{
	struct job *j = malloc(sizeof(*j) + len);

	if (!j)
		return NULL;
	memset(j, 0, offsetof(struct job, small));
	j->op = op;
	j->tag = tag;
	j->place = -1;
	j->len = len;
	if (len)
		memcpy(j->payload, payload, len);
	return j;
}

static void drop_reply(struct job *j)
{
	if (j->reply != j->small)
		free(j->reply);
	free(j->body);
	j->reply = NULL;
	j->body = NULL;
	j->reply_len = 0;
	j->body_len = 0;
}

void job_free(struct job *j)
{
	drop_reply(j);
	fsuser_put(j->user);
	volume_put(j->volume);
	free(j);
}

void job_let_go(struct job *j)
{
	while (j->held_count)
		descriptors_put(j->descriptors, j->held[--j->held_count]);
	while (j->file_count)
		filesession_put_file(j->session, j->files[--j->file_count]);
	volume_put(j->volume);
	fscred_put(j->cred);
	j->volume = NULL;
	j->cred = NULL;
}

/* Asks the name service now, in the worker, for names the loop will tell. */
static void learn_names(struct job *j)
{
	char name[IDNAME_MAX];
	int i;

	if (j->volume && j->volume->rules.numeric)
		j->id_count = 0;
	for (i = 0; i < j->id_count; i++) {
		if (idnames_peek(j->id_kinds[i], j->ids[i], true, name))
			continue;
		fscred_become(NULL);
		idnames_name(j->id_kinds[i], j->ids[i], name);
	}
}

/* Directory and name in a request that begins with who and these two, as a number;
 * 0 for others.
 */
static u64 what_of(const struct job *j)
{
	u64 hash = 0xcbf29ce484222325ull; /* FNV-1a */
	size_t end = 4;
	size_t at;

	if (!(j->op->flags & FILEOP_WHO))
		return 0;
	for (int i = 0; i < 2; i++) {
		if (end + 4 > j->len || j->len - end - 4 <
						get_u32(j->payload + end))
			return 0;
		end += 4 + (size_t)get_u32(j->payload + end);
	}
	for (at = 4; at < end; at++)
		hash = (hash ^ j->payload[at]) * 0x100000001b3ull;
	return hash;
}

void job_note(struct job *j)
{
	if (j->place < 0 && j->session->notes)
		j->place = replies_begin(j->session->notes, j->tag, what_of(j));
}

void job_mark(struct job *j, u64 mark)
{
	replies_mark(j->session->notes, j->place, mark);
}

/* Notes the answer that exports_job.c will send. */
static void note_done(struct job *j, int ret)
{
	const struct msg_error m = { .code = ret };
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (ret) {
		msg_error_encode(&w, &m);
		replies_end(j->session->notes, j->place, MSG_ERROR, buf,
			    wcursor_len(&w));
	} else {
		replies_end(j->session->notes, j->place,
			    j->reply ? j->reply_type : MSG_OK, j->reply,
			    j->reply_len);
	}
	j->place = -1;
}

int job_run(struct job *j)
{
	int ret;

	if (j->again ||
	    (j->op->flags & FILEOP_ONCE && j->op->flags & FILEOP_CHANGES))
		job_note(j);
	ret = j->again ? op_again(j) : j->op->run(j);
	if (ret) {
		drop_reply(j);
		j->id_count = 0;
	}
	if (j->place >= 0)
		note_done(j, ret);
	learn_names(j);
	job_let_go(j);
	return ret;
}

static int hold(struct job *j, struct span handle, struct descriptor **out)
{
	struct descriptor *d = descriptors_find(j->descriptors, handle);
	struct stat st;
	int fd;

	if (!d) {
		fscred_become(NULL);
		fd = volume_open_handle(j->volume, handle);
		if (fd < 0)
			return fd;
		if (fstat(fd, &st)) {
			close(fd);
			return -ESTALE;
		}
		d = descriptors_add(j->descriptors, handle, fd, st.st_ino,
				    S_ISDIR(st.st_mode));
		if (!d)
			return -ENOMEM;
	}
	j->held[j->held_count++] = d;
	*out = d;
	return 0;
}

int job_as_asker(struct job *j)
{
	struct fscred *c;
	int ret;

	if (!j->user || fsuser_refused(j->user))
		return -EPERM;
	ret = fsuser_cred(j->user, &j->volume->rules, &c);
	if (ret)
		return ret;
	fscred_put(j->cred);
	j->cred = c;
	fscred_become(c);
	return 0;
}

int job_may_write(const struct job *j)
{
	return j->read_only ? -EROFS : 0;
}

static int may_change(const struct job *j)
{
	return j->op->flags & FILEOP_CHANGES ? job_may_write(j) : 0;
}

int job_at(struct job *j, struct span handle, struct descriptor **d)
{
	int ret;

	j->volume = filesession_volume(j->session, filehandle_volume(handle),
				       &j->read_only);
	if (!j->volume)
		return -ESTALE;
	ret = job_as_asker(j);
	if (ret)
		return ret;
	ret = hold(j, handle, d);
	if (!ret)
		fscred_become(j->cred);
	return ret ? ret : may_change(j);
}

int job_and(struct job *j, struct span handle, struct descriptor **d)
{
	int ret;

	if (filehandle_volume(handle) != j->volume->number)
		return -EXDEV;
	ret = hold(j, handle, d);
	if (!ret)
		fscred_become(j->cred);
	return ret;
}

int job_file(struct job *j, u64 id, struct openfile **out)
{
	struct openfile *f = filesession_file(j->session, id);

	if (!f)
		return -EBADF;
	j->files[j->file_count++] = f;
	if (!j->volume) {
		j->volume = volume_get(f->volume);
		j->cred = fscred_get(f->cred);
		j->read_only = f->read_only;
	}
	fscred_become(f->cred);
	*out = f;
	return may_change(j);
}

u8 *job_room(struct job *j, u16 type, size_t len)
{
	drop_reply(j);
	j->reply = len <= sizeof(j->small) ? j->small : malloc(len);
	if (!j->reply)
		return NULL;
	j->reply_type = type;
	j->reply_len = len;
	return j->reply;
}

bool job_tell_id(struct job *j, enum file_id_kind kind, u32 id)
{
	int i;

	for (i = j->id_count; i-- > 0;)
		if (j->ids[i] == id && j->id_kinds[i] == kind)
			return true;
	if (j->id_count == FILEJOB_IDS)
		return false;
	j->ids[j->id_count] = id;
	j->id_kinds[j->id_count++] = (u8)kind;
	return true;
}

bool job_tell(struct job *j, u32 uid, u32 gid)
{
	return job_tell_id(j, FILE_ID_USER, uid) &&
	       job_tell_id(j, FILE_ID_GROUP, gid);
}

void job_attr(struct job *j, const struct stat *st, struct rec_attr *out)
{
	*out = (struct rec_attr){
		.ino = st->st_ino,
		.mode = st->st_mode,
		.nlink = (u32)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (u64)major(st->st_rdev) << 32 | minor(st->st_rdev),
		.size = (u64)st->st_size,
		.blocks = (u64)st->st_blocks,
		.blksize = (u32)st->st_blksize,
		.atime_s = st->st_atim.tv_sec,
		.atime_ns = (u32)st->st_atim.tv_nsec,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = (u32)st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = (u32)st->st_ctim.tv_nsec,
	};
	job_tell(j, st->st_uid, st->st_gid);
}

/* Encoded attributes of @fd into @out; 0 or -errno. */
static int attr_of(struct job *j, int fd, struct stat *st, u8 out[ATTR_BYTES])
{
	struct wcursor w = wcursor_of(out, ATTR_BYTES);
	struct rec_attr a;

	if (fstatat(fd, "", st, AT_EMPTY_PATH))
		return -errno;
	job_attr(j, st, &a);
	rec_attr_encode(&w, &a);
	return w.bad ? -EOVERFLOW : 0;
}

void job_changed(struct job *j, struct span handle, const struct descriptor *d)
{
	struct stat st;

	/* Without them the client asks, so a failure costs nothing else. */
	if (j->changed_count == FILEJOB_CHANGED ||
	    attr_of(j, d->fd, &st, j->changed[j->changed_count].attr))
		return;
	j->changed[j->changed_count++].handle = handle;
}

int job_reply_entry(struct job *j, int fd, bool keep)
{
	u8 handle[FILEHANDLE_MAX];
	u8 attr[ATTR_BYTES];
	struct msg_file_entry m = { .handle.data = handle,
				    .attr = { attr, ATTR_BYTES } };
	struct stat st;
	int ret = attr_of(j, fd, &st, attr);
	int len = ret ? ret : volume_handle(j->volume, fd, "", handle);

	if (len < 0) {
		close(fd);
		return len;
	}
	m.handle.len = (u32)len;
	if (keep)
		descriptors_put(j->descriptors,
				descriptors_add(j->descriptors, m.handle, fd,
						st.st_ino,
						S_ISDIR(st.st_mode)));
	else
		close(fd);
	return job_reply(j, FILE_ENTRY, file_entry, &m);
}

int job_reply_attr(struct job *j, int fd)
{
	u8 attr[ATTR_BYTES];
	struct msg_file_attr m = { .attr = { attr, ATTR_BYTES } };
	struct stat st;
	int ret = attr_of(j, fd, &st, attr);

	return ret ? ret : job_reply(j, FILE_ATTR, file_attr, &m);
}

int job_reply_data(struct job *j, u8 *data, size_t len)
{
	/* The field's length; its bytes are sent from where they are. */
	u8 *room = job_room(j, MSG_FILE_DATA, sizeof(u32));

	put_u32(room, (u32)len);
	j->body = data;
	j->body_len = len;
	return 0;
}

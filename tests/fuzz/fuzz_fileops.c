// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to the file service from a client that may mount: the first byte
 * chooses the operation, the rest is its payload, in which a handle "R" becomes
 * the root's and open file 1 is there. Needs root; works in a folder in memory.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "filejob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct volume *volume;
static struct descriptors *descriptors;
static u8 root[FILEHANDLE_MAX];
static u32 root_len;

static void set_up(void)
{
	static char dir[] = "/dev/shm/virgo-fuzz-XXXXXX";
	static const u8 key[FILEHANDLE_KEY] = { 1 };
	const u8 id[16] = { 9 };
	struct rec_volume_row row = { .name = span_of("fuzz"),
				      .squash = span_of("all"),
				      .idmap = span_of("numeric"),
				      .id = { id, 16 },
				      .slot = 1 };
	struct failure f = { 0 };
	int len;

	if (!mkdtemp(dir))
		abort();
	row.path = span_of(dir);
	if (volume_open(&volume, &row, key, NULL, &f))
		abort();
	rmdir(dir); /* reached by its descriptor alone from now on */
	descriptors = descriptors_new(64);
	len = volume_handle(volume, volume->root_fd, "", root);
	if (len <= 0 || !descriptors)
		abort();
	root_len = (u32)len;
}

/* Copies the payload, a span "R" becoming the root's handle. */
static size_t expand(const u8 *in, size_t len, u8 *out)
{
	size_t n = 0;
	size_t i = 0;

	while (i < len) {
		if (len - i >= 5 && get_u32(in + i) == 1 && in[i + 4] == 'R') {
			put_u32(out + n, root_len);
			memcpy(out + n + 4, root, root_len);
			n += 4 + root_len;
			i += 5;
		} else {
			out[n++] = in[i++];
		}
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct msg_file_cred cred = { .user = span_of("nobody") };
	const struct fileop *op;
	struct filesession *s;
	struct job *j;
	u8 *payload;

	if (!volume)
		set_up();
	if (!size || size > 4096)
		return 0;
	op = fileop_of((u16)(MSG_FILE_ATTACH + data[0] % 64));
	payload = malloc(size * (FILEHANDLE_MAX / 5 + 2));
	s = filesession_new("peer", (const u8[16]){ 0 });
	if (!op || !payload || !s)
		goto out;
	filesession_attach(s, volume, false);
	filesession_set_user(s, 0, fsuser_new(&cred));
	j = job_new(op, 1, payload, (u32)expand(data + 1, size - 1, payload));
	if (!j)
		goto out;
	j->session = s;
	j->descriptors = descriptors;
	j->user = filesession_user(s, 0);
	j->ret = job_run(j);
	if (!j->ret && !j->reply && j->body)
		abort();
	job_free(j);
out:
	filesession_free(s, true);
	free(payload);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo-spawn's table of jobs, and what it tells of them; see spawn_impl.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "spawn_impl.h"

void spawn_event(u32 kind, u64 job, s32 value, u32 stage, const void *data,
		 size_t len)
{
	struct spawn_message m = { .kind = kind, .job = job, .value = value,
				   .stage = stage };
	struct iovec iov[2] = { { &m, sizeof(m) }, { (void *)data, len } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = data ? 2 : 1 };

	if (spawn.orphan)
		return;
	while (sendmsg(VIRGOD_FD, &h, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void spawn_failed(u64 job, u32 stage, int error, const char *text)
{
	spawn_event(SPAWN_FAILED, job, error, stage, text, strlen(text));
}

struct job **spawn_id_slot(u64 id)
{
	struct job **at = &spawn.by_id[id % SPAWN_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next_id;
	return at;
}

struct job **spawn_pid_slot(pid_t pid)
{
	struct job **at = &spawn.by_pid[(u32)pid % SPAWN_BUCKETS];

	while (*at && (*at)->group.leader != pid)
		at = &(*at)->next_pid;
	return at;
}

void spawn_drop_start(struct job *j)
{
	int i;

	free(j->spec);
	j->spec = NULL;
	for (i = 0; i < SPAWN_FDS_MAX; i++)
		if (j->fds[i] >= 0) {
			close(j->fds[i]);
			j->fds[i] = -1;
		}
}

void spawn_drop_launch(struct job *j)
{
	free(j->launch);
	j->launch = NULL;
	ready_release(j->room);
	j->room = NULL;
}

void spawn_forget(struct job *j)
{
	struct job **at = spawn_id_slot(j->id);

	if (*at)
		*at = j->next_id;
	if (j->group.leader > 0) {
		at = spawn_pid_slot(j->group.leader);
		if (*at)
			*at = j->next_pid;
	}
	loop_disarm(spawn.loop, &j->recheck);
	spawn_start_over(j);
	spawn_drop_start(j);
	spawn_drop_launch(j);
	jobgroup_give_back(&j->group);
	if (j->folder_fd >= 0)
		close(j->folder_fd);
	free(j);
	if (--spawn.jobs == 0 && spawn.orphan)
		loop_stop(spawn.loop);
}

static void folder_write(struct job *j, const char *name, const char *text)
{
	char temporary[32];
	ssize_t n;
	int fd;

	if (j->folder_fd < 0)
		return;
	snprintf(temporary, sizeof(temporary), ".%s", name);
	fd = openat(j->folder_fd, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	n = fd >= 0 ? write(fd, text, strlen(text)) : -1;
	if (n != (ssize_t)strlen(text) ||
	    renameat(j->folder_fd, temporary, j->folder_fd, name))
		log_error("job %llu: cannot write its %s: %s",
			  (unsigned long long)j->id, name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static unsigned long long start_time(pid_t pid)
{
	char path[32], buf[1024];
	unsigned long long ticks = 0;
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = 0;
	fclose(f);
	p = strrchr(buf, ')');
	/* After the name: state is field 3, starttime field 22. */
	if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			       "%*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&ticks) != 1)
		ticks = 0;
	return ticks;
}

void spawn_write_pid(struct job *j)
{
	char path[600], text[700];

	if (j->folder_fd < 0)
		return;
	jobgroup_path(&j->group, path, sizeof(path));
	snprintf(text, sizeof(text), "%d %llu %s\n", j->group.leader,
		 start_time(j->group.leader), path);
	folder_write(j, SPAWN_PID_FILE, text);
}

void spawn_write_status(struct job *j, const struct spawn_exit *e)
{
	char text[160];

	snprintf(text, sizeof(text), "%d %u %llu %llu %llu %u\n", e->status,
		 e->oom, (unsigned long long)e->user_us,
		 (unsigned long long)e->system_us,
		 (unsigned long long)e->max_rss_bytes, e->left);
	folder_write(j, SPAWN_STATUS_FILE, text);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Folders of volumes that are made on request: STATE/volumes/NAME, on the home
 * node's word, for nodes that [volumes] accept of virgo_cloud.conf names. The
 * contract is in volume_place.h.
 */
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "audit.h"
#include "home.h"
#include "loads.h"
#include "policy.h"
#include "volume_place.h"

static int accepts(struct node *n, const char *node, struct failure *f)
{
	const struct conf_list *l = &policy_conf(n->policy)->volumes_accept;

	if (!strcmp(node, n->local.node) || conf_list_has(l, node) ||
	    conf_list_has(l, "*"))
		return 0;
	return failure_set(f, -EACCES, n->local.node,
			   "name it in 'accept' of [volumes] in "
			   "virgo_cloud.conf there",
			   "it holds no volumes for %s", node);
}

/* The folder of all such volumes, made when it is not there. */
static int folder_of_all(struct node *n, char path[4096], struct failure *f)
{
	if (snprintf(path, 4096, "%s/volumes", n->state) >= 4096 - 65)
		return failure_set(f, -ENAMETOOLONG, n->state, NULL,
				   "the path is too long");
	if (mkdir(path, 0755) && errno != EEXIST)
		return failure_set(f, -errno, path, NULL,
				   "cannot make the folder: %s",
				   strerror(errno));
	return 0;
}

int volume_room(struct node *n, const char *node,
		struct msg_volume_room_reply *out, struct failure *f)
{
	struct statvfs s;
	char path[4096];
	int ret = accepts(n, node, f);

	if (!ret)
		ret = folder_of_all(n, path, f);
	if (ret)
		return ret;
	if (statvfs(path, &s))
		return failure_set(f, -errno, path, NULL, "%s",
				   strerror(errno));
	if (s.f_flag & ST_RDONLY)
		return failure_set(f, -EROFS, path, NULL,
				   "the file system is read-only");
	*out = (struct msg_volume_room_reply){
		.bytes = (u64)s.f_blocks * s.f_frsize,
		.bytes_free = (u64)s.f_bavail * s.f_frsize,
		.idle_ppm = n->loads ? loads_now(n->loads).idle_ppm : 0,
	};
	return 0;
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = d;

	while (d && empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
	if (d)
		closedir(d);
	return empty;
}

int volume_folder_make(struct node *n, const char *node, const char *name,
		       char path[4096], struct failure *f)
{
	int ret = accepts(n, node, f);
	size_t len;

	if (!ret && !catalog_volume_name_valid(span_of(name)))
		ret = failure_set(f, -EINVAL, name, NULL,
				  "this is not a name for a volume");
	if (!ret)
		ret = folder_of_all(n, path, f);
	if (ret)
		return ret;
	len = strlen(path);
	snprintf(path + len, 4096 - len, "/%s", name);
	if (mkdir(path, 0700) && errno != EEXIST)
		return failure_set(f, -errno, path, NULL,
				   "cannot make the folder: %s",
				   strerror(errno));
	if (!is_empty(path))
		return failure_set(f, -EEXIST, path,
				   "show it again with virgo volume create "
				   "--path, or remove it",
				   "files of an earlier volume %s are there",
				   name);
	/* For all users, like what every node shows by default. */
	if (chmod(path, 01777))
		return failure_set(f, -errno, path, NULL, "%s",
				   strerror(errno));
	return 0;
}

int volume_folder_remove(struct node *n, const struct msg_volume_folder *m,
			 struct failure *f)
{
	char node[NODE_NAME_MAX + 1], name[VOLUME_NAME_MAX_BYTES + 1], path[4096];
	bool ours;
	int ret;

	if (!span_to_cstr(m->node, node, sizeof(node)) ||
	    !span_to_cstr(m->volume, name, sizeof(name)) ||
	    !catalog_volume_name_valid(span_of(name)))
		return failure_set(f, -EINVAL, "volume", NULL,
				   "a malformed request");
	if (snprintf(path, sizeof(path), "%s/volumes/%s", n->state, name) >=
	    (int)sizeof(path))
		return failure_set(f, -ENAMETOOLONG, n->state, NULL,
				   "the path is too long");
	ours = span_equal(m->path, span_of(path));
	if (!m->trusted) {
		ret = ours ? accepts(n, node, f) :
			     failure_set(f, -EPERM, name,
					 "virgo volume remove, there or on "
					 "the home node",
					 "mkdir did not make it; only %s "
					 "removes it", n->local.node);
		if (ret)
			return ret;
	}
	/* What is somebody's folder stays. */
	if (!ours || rmdir(path) == 0 || errno == ENOENT)
		return 0;
	return failure_set(f, errno == EEXIST ? -ENOTEMPTY : -errno, name,
			   NULL, "%s", strerror(errno));
}

/* Only the home node decides where volumes go. */
static bool from_home(struct request *r)
{
	const char *home = catalog_head(r->node->catalog)->home;

	if (r->node->catalog && !strcmp(r->peer, home))
		return true;
	request_fail(r, -EACCES, "volume", NULL, "only the home node %s asks this",
		     home);
	return false;
}

static void serve_room(struct request *r)
{
	char node[NODE_NAME_MAX + 1] = "";
	struct msg_volume_room_reply reply;
	struct msg_volume_room m;
	struct failure f;

	if (!from_home(r) || !request_decode(r, volume_room, &m))
		return;
	span_to_cstr(m.node, node, sizeof(node));
	if (volume_room(r->node, node, &reply, &f))
		request_fail_with(r, &f);
	else
		request_reply(r, VOLUME_ROOM_REPLY, volume_room_reply, &reply);
}

static int do_folder(struct node *n, const struct msg_volume_folder *m,
		     char path[4096], struct failure *f)
{
	char node[NODE_NAME_MAX + 1] = "", name[VOLUME_NAME_MAX_BYTES + 1] = "";
	int ret;

	if (span_equal(m->action, span_of("remove")))
		return volume_folder_remove(n, m, f);
	if (!span_equal(m->action, span_of("make")))
		return failure_set(f, -EOPNOTSUPP, "volume", NULL,
				   "this node does not know this action");
	span_to_cstr(m->node, node, sizeof(node));
	span_to_cstr(m->volume, name, sizeof(name));
	ret = volume_folder_make(n, node, name, path, f);
	audit_write_failure(n->audit, node, "root", "volume folder", name,
			    ret ? f : NULL);
	return ret;
}

static void serve_folder(struct request *r)
{
	struct msg_volume_folder_reply reply = { 0 };
	struct msg_volume_folder m;
	char path[4096] = "";
	struct failure f;

	if (!from_home(r) || !request_decode(r, volume_folder, &m))
		return;
	if (do_folder(r->node, &m, path, &f)) {
		request_fail_with(r, &f);
		return;
	}
	reply.path = span_of(path);
	request_reply(r, VOLUME_FOLDER_REPLY, volume_folder_reply, &reply);
}

static const struct service services[] = {
	{ MSG_VOLUME_ROOM, FROM_PEER, serve_room },
	{ MSG_VOLUME_FOLDER, FROM_PEER, serve_folder },
};

void volume_folder_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}

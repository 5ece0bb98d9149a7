/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands behind a descriptor of libvirgo (a job or an open file), found by
 * its number in one table of the process; and the failure that virgo_strerror()
 * tells. The table's lock is held only to look up; an object in use is kept alive
 * by its references while another thread closes it.
 */
#ifndef VIRGO_LIB_OBJECT_H
#define VIRGO_LIB_OBJECT_H

#include "client.h"

struct object;

struct object_ops {
	ssize_t (*read)(struct object *o, void *buf, size_t len);
	ssize_t (*write)(struct object *o, const void *buf, size_t len);
	/* The descriptor is being closed: 0 or -errno for the caller. Threads
	 * that wait on the object must give up; none comes any more.
	 */
	int (*close)(struct object *o);
	/* The last reference is gone. */
	void (*free)(struct object *o);
};

struct object {
	const struct object_ops *ops;
	int refs; /* atomic */
	int fd; /* its number, and its own to close; -1: none */
};

/* Puts @o, whose single reference becomes the table's, under number @fd. A stale
 * object there (somebody used close(2) on its descriptor) is dropped. -ENOMEM.
 */
int object_add(struct object *o, int fd);
/* A reference; NULL with errno EBADF, or @wrong if it is not of kind @ops (NULL:
 * any).
 */
struct object *object_get(int fd, const struct object_ops *ops, int wrong);
void object_put(struct object *o);

/* Notes a failure for virgo_strerror(), sets errno and gives -1. @f->code is
 * negative.
 */
int api_fail(const struct failure *f);
/* The same from parts; @code is a negative errno. */
int api_fail_with(int code, const char *object, const char *remedy,
		  const char *what_fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* @ret, or what api_fail_with() gives for a negative one. */
ssize_t api_result(ssize_t ret, const char *object);

/* A number that every virgo_set_state() changes. */
unsigned int api_state(void);

/* Copies a struct to a program that knows @size bytes of it: what it does not know is
 * left out, what the library does not know is 0.
 */
void api_copy(void *out, size_t size, const void *in, size_t in_size);
/* As much of @s as fits, with its NUL. */
void api_text(char *out, size_t size, struct span s);

/* The folder that it named into @dir (PATH_MAX bytes), "" when none was. */
void api_state_dir(char *dir);
/* Connects to the virgod there. */
int api_connect(struct client **out, struct failure *f);
/* client_module_allowed() for the node this program means, and client_open_module(). */
bool api_module_allowed(void);
int api_open_module(struct client **out, const char *node, size_t words);

#endif

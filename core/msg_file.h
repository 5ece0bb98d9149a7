/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * File messages; how to read the tables is in messages.h.
 *
 * A client attaches a volume, gets the handle of its root, and from then on
 * names everything by handle, or by the handle of a directory and one name in
 * it. Handles are opaque to it (daemon/filehandle.h). One request, one reply:
 * each operation of a file system is one round trip. A failed one is answered
 * with MSG_ERROR, whose code is the errno.
 *
 * Who: FILE_CRED fills numbered slots of the session, and the field `who` of a
 * request names one; it is sent ahead of the first request that needs it and is
 * not answered. Owners travel as the server's numbers; the server tells the name
 * of a number in FILE_NAME before the first reply that carries it, so that the
 * client never has to ask. FILE_IDS asks the other way round.
 *
 * A device number is its major number in the upper 32 bits, its minor in the
 * lower. Flags of rename, fallocate, lseek and setxattr are Linux's, which are
 * the same on every machine, as are the permission bits of a mode.
 *
 * Open files (`file`) belong to the session and outlive its connection for a
 * while; 0 is no file. A request that must not happen twice may be sent again on
 * a new connection under its old tag, and is then answered from memory; also by a
 * server that was restarted, if it says FILE_VOLUME_ANSWERS. EIO then means that
 * the restart came in the middle and what is there does not tell whether it was
 * done.
 *
 * What changes a directory is preceded, like owners' names, by FILE_CHANGED with
 * the directory's attributes afterwards, under the tag of the request; so that a
 * client need not ask for them after each change.
 *
 * FILE_OPEN may carry the directory and name by which the client came to the
 * handle. If that name means another file by now the answer is ESTALE, and the
 * client looks it up again: so an open sees what was closed before it, whatever
 * the client had cached.
 *
 * `data` is the last field of what carries it, so it can be sent from where it
 * lies.
 */
#ifndef VIRGO_CORE_MSG_FILE_H
#define VIRGO_CORE_MSG_FILE_H

enum file_limits {
	FILE_IO_MAX = 1 << 20, /* bytes of one FILE_READ or FILE_WRITE */
	FILE_HANDLE_MAX = 192,
	FILE_NAME_BYTES_MAX = 255,
	FILE_WHO_MAX = 1024, /* slots of FILE_CRED in a session */
	FILE_GROUPS_MAX = 1024,
};

enum file_volume_flags { /* FILE_ATTACHED */
	FILE_VOLUME_READ_ONLY = 1 << 0,
	FILE_VOLUME_NUMERIC = 1 << 1, /* owners are numbers, not names */
	FILE_VOLUME_FLEETING = 1 << 2, /* handles live as long as the session */
	FILE_VOLUME_RESUMED = 1 << 3, /* the session's open files are alive */
	FILE_VOLUME_ANSWERS = 1 << 4, /* they are not, but requests may be sent
				       * again: what was done is known
				       */
};

enum file_set { /* FILE_SETATTR valid */
	FILE_SET_MODE = 1 << 0,
	FILE_SET_UID = 1 << 1,
	FILE_SET_GID = 1 << 2,
	FILE_SET_SIZE = 1 << 3,
	FILE_SET_ATIME = 1 << 4,
	FILE_SET_MTIME = 1 << 5,
	FILE_SET_ATIME_NOW = 1 << 6,
	FILE_SET_MTIME_NOW = 1 << 7,
};

/* Of FILE_OPEN, FILE_CREATE and FILE_TMPFILE; O_* differ between machines. */
enum file_open_flags {
	FILE_OPEN_READ = 1 << 0,
	FILE_OPEN_WRITE = 1 << 1,
	FILE_OPEN_APPEND = 1 << 2,
	FILE_OPEN_TRUNCATE = 1 << 3,
	FILE_OPEN_EXCLUSIVE = 1 << 4,
	FILE_OPEN_SYNC = 1 << 5,
	FILE_OPEN_DSYNC = 1 << 6,
	FILE_OPEN_KNOWN = (1 << 7) - 1,
};

enum file_id_kind { FILE_ID_USER, FILE_ID_GROUP };

enum file_lock_flags {
	FILE_LOCK_WAIT = 1 << 0, /* answer when granted, not with EAGAIN */
};

enum file_write_flags {
	FILE_WRITE_KILL_PRIV = 1 << 0, /* the writer may not keep setuid bits */
};

enum file_lock_type { FILE_LOCK_READ, FILE_LOCK_WRITE, FILE_LOCK_NONE };

#define FILE_MESSAGES(M)                                                       \
	M(128, FILE_ATTACH, file_attach, "use a volume")                       \
	M(129, FILE_ATTACHED, file_attached, "the volume's root and manners")  \
	M(130, FILE_CRED, file_cred, "fill a slot of users; no answer")        \
	M(131, FILE_NAME, file_name, "the name of an owner's number")          \
	M(132, FILE_IDS, file_ids, "the number of an owner's name")            \
	M(133, FILE_ID, file_id, "answer to FILE_IDS")                         \
	M(134, FILE_LOOKUP, file_lookup, "a name in a directory")              \
	M(135, FILE_ENTRY, file_entry, "the handle and attributes of a name")  \
	M(136, FILE_GETATTR, file_getattr, "attributes")                       \
	M(137, FILE_ATTR, file_attr, "the attributes as they are now")         \
	M(138, FILE_SETATTR, file_setattr, "change attributes")                \
	M(139, FILE_READLINK, file_readlink, "target of a symbolic link")      \
	M(140, FILE_DATA, file_data, "bytes asked for")                        \
	M(141, FILE_MKNOD, file_mknod, "make a file, device, fifo or socket")  \
	M(142, FILE_MKDIR, file_mkdir, "make a directory")                     \
	M(143, FILE_SYMLINK, file_symlink, "make a symbolic link")             \
	M(144, FILE_UNLINK, file_unlink, "remove a name")                      \
	M(145, FILE_RMDIR, file_rmdir, "remove an empty directory")            \
	M(146, FILE_RENAME, file_rename, "rename, exchange")                   \
	M(147, FILE_LINK, file_link, "another name for a file")                \
	M(148, FILE_OPEN, file_open, "open a file")                            \
	M(149, FILE_OPENED, file_opened, "the open file, perhaps its content") \
	M(150, FILE_CREATE, file_create, "make a file and open it")            \
	M(151, FILE_CREATED, file_created, "the new open file")                \
	M(152, FILE_TMPFILE, file_tmpfile, "make an open file without a name") \
	M(153, FILE_RELEASE, file_release, "close a file")                     \
	M(154, FILE_READ, file_read, "bytes of a file")                        \
	M(155, FILE_WRITE, file_write, "write bytes")                          \
	M(156, FILE_WRITTEN, file_written, "how many were")                    \
	M(157, FILE_FSYNC, file_fsync, "make a file durable")                  \
	M(158, FILE_SYNCED, file_synced, "done, since this boot of the server")\
	M(159, FILE_FSYNCDIR, file_fsyncdir, "make a directory durable")       \
	M(160, FILE_SYNCFS, file_syncfs, "make the volume durable")            \
	M(161, FILE_READDIR, file_readdir, "names and attributes of a directory")\
	M(162, FILE_LISTING, file_listing, "some entries in order")            \
	M(163, FILE_STATFS, file_statfs, "how full the volume is")             \
	M(164, FILE_SPACE, file_space, "answer to FILE_STATFS")                \
	M(165, FILE_SETXATTR, file_setxattr, "set an extended attribute")      \
	M(166, FILE_GETXATTR, file_getxattr, "value of an extended attribute") \
	M(167, FILE_LISTXATTR, file_listxattr, "names of extended attributes") \
	M(168, FILE_REMOVEXATTR, file_removexattr, "remove an extended attribute")\
	M(169, FILE_ACCESS, file_access, "may the user do this")               \
	M(170, FILE_GETLK, file_getlk, "who holds a lock in the way")          \
	M(171, FILE_LOCK, file_lock, "the lock that is in the way")            \
	M(172, FILE_SETLK, file_setlk, "take or drop a byte-range lock")       \
	M(173, FILE_FLOCK, file_flock, "lock or unlock a whole open file")     \
	M(174, FILE_UNLOCK_OWNER, file_unlock_owner, "drop all locks of an owner")\
	M(175, FILE_CANCEL, file_cancel, "stop waiting for a lock; no answer") \
	M(176, FILE_FALLOCATE, file_fallocate, "reserve or punch space")       \
	M(177, FILE_LSEEK, file_lseek, "next data or hole")                    \
	M(178, FILE_OFFSET, file_offset, "answer to FILE_LSEEK")               \
	M(179, FILE_COPY, file_copy, "copy between open files on the server")  \
	M(180, FILE_CHANGED, file_changed, "a directory after the operation")

#define FIELDS_FILE_ATTACH(R, O) R(str, volume)
#define FIELDS_FILE_ATTACHED(R, O)                                             \
	R(bytes, handle) R(bytes, attr) R(bytes, id) R(u32, slot)              \
	R(u32, flags) R(u64, verifier) R(u32, io_max)
#define FIELDS_FILE_CRED(R, O)                                                 \
	R(u32, who) R(str, user) R(str, group) R(u32, uid) R(u32, gid)         \
	R(bytes, groups)
#define FIELDS_FILE_NAME(R, O) R(u8, kind) R(u32, id) R(str, name)
#define FIELDS_FILE_IDS(R, O) R(u8, kind) R(str, name)
#define FIELDS_FILE_ID(R, O) R(u32, id)
#define FIELDS_FILE_LOOKUP(R, O) R(u32, who) R(bytes, dir) R(str, name)
#define FIELDS_FILE_ENTRY(R, O) R(bytes, handle) R(bytes, attr)
#define FIELDS_FILE_GETATTR(R, O) R(u32, who) R(bytes, handle) R(u64, file)
#define FIELDS_FILE_ATTR(R, O) R(bytes, attr)
#define FIELDS_FILE_SETATTR(R, O)                                              \
	R(u32, who) R(bytes, handle) R(u64, file) R(u32, valid) R(u32, mode)   \
	R(u32, uid) R(u32, gid) R(u64, size) R(s64, atime_s) R(u32, atime_ns)  \
	R(s64, mtime_s) R(u32, mtime_ns)
#define FIELDS_FILE_READLINK(R, O) R(u32, who) R(bytes, handle)
#define FIELDS_FILE_DATA(R, O) R(bytes, data)
#define FIELDS_FILE_MKNOD(R, O)                                                \
	R(u32, who) R(bytes, dir) R(str, name) R(u32, mode) R(u32, umask)      \
	R(u64, rdev)
#define FIELDS_FILE_MKDIR(R, O)                                                \
	R(u32, who) R(bytes, dir) R(str, name) R(u32, mode) R(u32, umask)
#define FIELDS_FILE_SYMLINK(R, O)                                              \
	R(u32, who) R(bytes, dir) R(str, name) R(bytes, target)
#define FIELDS_FILE_UNLINK(R, O) R(u32, who) R(bytes, dir) R(str, name)
#define FIELDS_FILE_RMDIR(R, O) R(u32, who) R(bytes, dir) R(str, name)
#define FIELDS_FILE_RENAME(R, O)                                               \
	R(u32, who) R(bytes, dir) R(str, name) R(bytes, to_dir)                \
	R(str, to_name) R(u32, flags)
#define FIELDS_FILE_LINK(R, O)                                                 \
	R(u32, who) R(bytes, handle) R(u64, file) R(bytes, dir) R(str, name)
#define FIELDS_FILE_OPEN(R, O)                                                 \
	R(u32, who) R(bytes, handle) R(u32, flags) R(u32, prefetch)            \
	R(bytes, dir) R(str, name)
#define FIELDS_FILE_OPENED(R, O) R(u64, file) R(bytes, attr) R(bytes, data)
#define FIELDS_FILE_CREATE(R, O)                                               \
	R(u32, who) R(bytes, dir) R(str, name) R(u32, flags) R(u32, mode)      \
	R(u32, umask)
#define FIELDS_FILE_CREATED(R, O)                                              \
	R(u64, file) R(bytes, handle) R(bytes, attr) R(u8, no_caps)
#define FIELDS_FILE_TMPFILE(R, O)                                              \
	R(u32, who) R(bytes, dir) R(u32, flags) R(u32, mode) R(u32, umask)
#define FIELDS_FILE_RELEASE(R, O) R(u64, file)
#define FIELDS_FILE_READ(R, O) R(u64, file) R(u64, offset) R(u32, count)
#define FIELDS_FILE_WRITE(R, O)                                                \
	R(u64, file) R(u64, offset) R(u32, flags) R(bytes, data)
#define FIELDS_FILE_WRITTEN(R, O) R(u32, count) R(u64, verifier)
#define FIELDS_FILE_FSYNC(R, O) R(u64, file) R(u8, data_only)
#define FIELDS_FILE_SYNCED(R, O) R(u64, verifier)
#define FIELDS_FILE_FSYNCDIR(R, O) R(u32, who) R(bytes, handle) R(u8, data_only)
#define FIELDS_FILE_SYNCFS(R, O) R(u32, who) R(bytes, handle)
#define FIELDS_FILE_READDIR(R, O)                                              \
	R(u32, who) R(bytes, handle) R(u64, cookie) R(u32, bytes_max) R(u8, plus)
#define FIELDS_FILE_LISTING(R, O) R(u8, end) R(list, entries)
#define FIELDS_FILE_STATFS(R, O) R(u32, who) R(bytes, handle)
#define FIELDS_FILE_SPACE(R, O)                                                \
	R(u64, block_bytes) R(u64, fragment_bytes) R(u64, blocks)              \
	R(u64, blocks_free) R(u64, blocks_available) R(u64, files)             \
	R(u64, files_free) R(u32, name_max)
#define FIELDS_FILE_SETXATTR(R, O)                                             \
	R(u32, who) R(bytes, handle) R(str, name) R(u32, flags) R(bytes, value)
#define FIELDS_FILE_GETXATTR(R, O)                                             \
	R(u32, who) R(bytes, handle) R(str, name) R(u32, count)
#define FIELDS_FILE_LISTXATTR(R, O) R(u32, who) R(bytes, handle) R(u32, count)
#define FIELDS_FILE_REMOVEXATTR(R, O) R(u32, who) R(bytes, handle) R(str, name)
#define FIELDS_FILE_ACCESS(R, O) R(u32, who) R(bytes, handle) R(u32, mask)
#define FIELDS_FILE_GETLK(R, O)                                                \
	R(u64, file) R(u64, owner) R(u8, type) R(u64, start) R(u64, end)
#define FIELDS_FILE_LOCK(R, O)                                                 \
	R(u8, type) R(u64, start) R(u64, end) R(u32, pid)
#define FIELDS_FILE_SETLK(R, O)                                                \
	R(u64, file) R(u64, owner) R(u32, pid) R(u8, type) R(u64, start)       \
	R(u64, end) R(u32, flags)
#define FIELDS_FILE_FLOCK(R, O) R(u64, file) R(u8, type) R(u32, flags)
#define FIELDS_FILE_UNLOCK_OWNER(R, O) R(u64, file) R(u64, owner)
#define FIELDS_FILE_CANCEL(R, O) R(u64, tag)
#define FIELDS_FILE_FALLOCATE(R, O)                                            \
	R(u64, file) R(u32, mode) R(u64, offset) R(u64, length)
#define FIELDS_FILE_LSEEK(R, O) R(u64, file) R(u64, offset) R(u32, whence)
#define FIELDS_FILE_OFFSET(R, O) R(u64, offset)
#define FIELDS_FILE_CHANGED(R, O) R(bytes, handle) R(bytes, attr)
#define FIELDS_FILE_COPY(R, O)                                                 \
	R(u64, file) R(u64, offset) R(u64, to_file) R(u64, to_offset)          \
	R(u64, count)

#define FILE_RECORDS(M)                                                        \
	M(ATTR, attr, "attributes of a file, owners as the server's numbers")  \
	M(DIR_ENTRY, dir_entry, "FILE_LISTING: a name; no handle if it is gone")

#define FIELDS_ATTR(R, O)                                                      \
	R(u64, ino) R(u32, mode) R(u32, nlink) R(u32, uid) R(u32, gid)         \
	R(u64, rdev) R(u64, size) R(u64, blocks) R(u32, blksize)               \
	R(s64, atime_s) R(u32, atime_ns) R(s64, mtime_s) R(u32, mtime_ns)      \
	R(s64, ctime_s) R(u32, ctime_ns)
#define FIELDS_DIR_ENTRY(R, O)                                                 \
	R(u64, cookie) R(u64, ino) R(u8, type) R(str, name) R(bytes, handle)   \
	R(bytes, attr)

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virgo_cloud.conf: this node in the cloud, and what the cloud may do here. How
 * to read the table is in conf.h. virgod and virgo-spawn follow it.
 */
#ifndef VIRGO_LIB_CONF_CLOUD_H
#define VIRGO_LIB_CONF_CLOUD_H

#include "conf.h"

#define CONF_CLOUD(K, M)                                                       \
	K(node, listen, ADDRESSES, (16), "",                                   \
	  "Addresses to listen on for other nodes; none means every address "  \
	  "of the machine. Read when virgod starts.")                          \
	K(node, port, NUMBER, (1, 65535), "8747",                              \
	  "TCP and UDP port to listen on where an address names none. Read "   \
	  "when virgod starts.")                                               \
	K(node, advertise, ADDRESSES, (16), "",                                \
	  "Addresses under which other nodes reach this one, best first; "     \
	  "none means those of its interfaces. Read by virgo init and virgo "  \
	  "join where they are not told.")      \
	K(node, seeds, ADDRESSES, (16), "",                                    \
	  "Addresses of other nodes of the cloud, asked when no node answers " \
	  "under the addresses that the catalog has.")                         \
	K(cloud, certificate_life, DURATION, (10000, 31536000000), "30d",      \
	  "Life of the certificates that this node issues while it is the "    \
	  "home node. Nodes renew theirs when two thirds of it have passed.")  \
	K(cloud, administrators, LIST, (256), "",                              \
	  "Nodes whose root may do what root of the home node may (* is every "\
	  "node): invite, remove and drain nodes, change others' volumes, "    \
	  "move the home. Counts on the home node.")                           \
	K(volumes, accept, LIST, (256), "*",                                   \
	  "Nodes for which this one holds new volumes, as mkdir in /virgo "    \
	  "makes them, and whose rmdir may remove such a volume when it is "   \
	  "empty. * is every node; an empty list is none but this one.")       \
	M(allow, NODE, USERS, (256),                                           \
	  "Which users of a node may use this one, its jobs and its volumes. "  \
	  "NODE is a node's name, or * for every node that has no line of its " \
	  "own; users are names on that node, * for all, or none. Without any " \
	  "line all users of all nodes may; with one, nodes that no line "      \
	  "covers may not.")                                                   \
	M(idmap, USER, USER, (),                                               \
	  "The account here for a user who has another name on other nodes: "  \
	  "ann = anna runs jobs of the cloud's ann as anna, and in volumes "    \
	  "that go by name anna's files are the cloud's ann's.")                  \
	K(jobs, max, NUMBER, (0, 100000), "4096",                              \
	  "Jobs that may run here at the same time.")                          \
	K(jobs, system_users, USERS, (64), "none",                             \
	  "Root and system accounts that may run jobs here all the same.")     \
	K(jobs, uid_min, NUMBER, (0, 4294967294), "0",                         \
	  "Smallest user id of an ordinary account; 0 means UID_MIN of "       \
	  "/etc/login.defs.")                                                  \
	K(jobs, pam, CHOICE, ("auto|yes|no"), "auto",                          \
	  "Whether PAM's service virgo must let an account in: auto asks it "  \
	  "if /etc/pam.d/virgo exists, yes refuses everybody if it does not.") \
	K(calls, users, LIST, (256), "",                                       \
	  "Accounts of this machine that may call kernel functions, here and " \
	  "on other nodes, each under its name in the cloud, and whose jobs "  \
	  "may go through the kernel module; root may anyway.")                \
	M(functions, FUNCTION, CALLERS, (256),                                 \
	  "Who may call this kernel function here: a node, which is its "      \
	  "kernel and its root, or a user of a node as USER@NODE; * in place " \
	  "of a name is all. A function without a line is called by nobody "   \
	  "but this node's kernel and root.")                                  \
	K(memory, lend, SIZE, (0, 70368744177664), "0",                        \
	  "Memory of this node to lend to others, unless virgo memory lend "   \
	  "has said otherwise; 0 for none.")                                   \
	K(memory, reserve, SIZE, (0, 70368744177664), "256M",                  \
	  "Memory that must stay free here: a lease that would leave less is " \
	  "refused. Replaced by virgo memory lend --reserve.")                 \
	K(memory, allow, NODES, (256), "*",                                    \
	  "Nodes that may borrow this node's memory; * for all of the cloud.") \
	K(memory, quota, SIZE, (0, 70368744177664), "0",                       \
	  "Most that one node may borrow here; 0 for all that is lent.")       \
	K(memory, same_machine, BOOL, (), "no",                                \
	  "Whether nodes on this very machine, in a container or a network "   \
	  "namespace of it, may borrow. Only to try things out: a machine "    \
	  "that swaps to its own memory gains none, and can stop for ever.")   \
	K(memory, port, NUMBER, (1, 65535), "10809",                           \
	  "TCP port where lent memory is reached, on the addresses of [node] " \
	  "listen. Read when virgo-nbd is started.")                           \
	K(memory, objects, SIZE, (0, 70368744177664), "64M",                   \
	  "Memory of this node for the memory objects of users of the cloud, " \
	  "see virgo_malloc(3); 0 for none. Taken when it is written to, and " \
	  "never so that less than reserve stays free.")                       \
	K(memory, objects_quota, SIZE, (0, 70368744177664), "0",               \
	  "Most of it that one user may have; 0 for all.")                     \
	K(cache, size, SIZE, (0, 34359738368), "0",                            \
	  "Memory of a memcached-compatible cache that is served when virgod " \
	  "starts, at least 1M; 0 for none. What virgo cache start takes when "\
	  "it is not told, then 64M instead of 0.")                            \
	K(cache, port, NUMBER, (1, 65535), "11211",                            \
	  "TCP port on 127.0.0.1 and ::1 for local clients of this node's "    \
	  "cache. Read when the cache is started.")                            \
	K(cache, local, BOOL, (), "yes",                                       \
	  "Whether that port is there at all: without it the cache is reached "\
	  "by virgo cache and from other nodes only.")                         \
	K(cache, kernel, BOOL, (), "yes",                                      \
	  "Whether virgo.ko serves the cache where it is loaded, if local is " \
	  "yes and allow has no line that keeps nobody of this node out. Read "\
	  "when the cache is started.")                                        \
	K(cache, value_max, SIZE, (1024, 67108864), "1M",                      \
	  "Largest item of the cache, counted as memcached does: key, value "  \
	  "and about 60 bytes. Read when the cache is started.")               \
	K(cache, connections, NUMBER, (1, 1000000), "16384",                   \
	  "Connections to the cache, and through each port of another node's.")\
	K(cache, idle, DURATION, (0, 31536000000), "0s",                       \
	  "A connection over which nothing came for this long is closed; 0 "   \
	  "for never.")                                                        \
	K(cache, stall, DURATION, (1000, 3600000), "30s",                      \
	  "The same for one that is in the middle of a command or does not "   \
	  "read its answers.")                                                 \
	K(cache, hot_percent, NUMBER, (0, 80), "20",                           \
	  "Share of a size class's items that count as new. With "             \
	  "warm_percent at most 80.")                                          \
	K(cache, warm_percent, NUMBER, (0, 80), "40",                          \
	  "Share of those that were fetched at least twice.")                  \
	K(audit, size, SIZE, (65536, 1099511627776), "16M",                    \
	  "Size at which a new audit log is begun.")                           \
	K(audit, keep, NUMBER, (0, 99), "8",                                   \
	  "How many old audit logs are kept.")

CONF_STRUCT(conf_cloud, CONF_CLOUD);
enum { CONF_PAM_AUTO, CONF_PAM_YES, CONF_PAM_NO };

extern const struct conf_schema conf_cloud_schema;

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control and catalog messages; how to read the tables is in messages.h. */
#ifndef VIRGO_CORE_MSG_CONTROL_H
#define VIRGO_CORE_MSG_CONTROL_H

#define CONTROL_MESSAGES(M)                                                    \
	M(1, HELLO, hello, "first frame of both sides")                        \
	M(2, ERROR, error, "the request with this tag failed")                 \
	M(3, OK, ok, "the request with this tag succeeded, nothing to add")    \
	M(4, PING, ping, "are you there; answered by PONG")                    \
	M(5, PONG, pong, "answer to PING, the stamp unchanged")                \
	M(6, GOAWAY, goaway, "the sender is about to close, and why")          \
	M(16, JOIN, join, "a machine with an invitation asks for a name")      \
	M(17, JOINED, joined, "the new node's certificate")                    \
	M(18, RENEW, renew, "a node asks for a fresh certificate")             \
	M(19, RENEWED, renewed, "the fresh certificate")                       \
	M(20, CATALOG_PULL, catalog_pull, "rows changed after a number")       \
	M(21, CATALOG_ROWS, catalog_rows, "the rows, in order of change")      \
	M(22, INVITE, invite, "make an invitation (home node)")                \
	M(23, INVITED, invited, "the invitation")                              \
	M(24, NODE_CHANGE, node_change, "drain, undrain or remove a node")     \
	M(25, VOLUME_CHANGE, volume_change, "create, remove or allow a volume")\
	M(26, VOLUME_LIST, volume_list, "volumes this caller may see")         \
	M(27, VOLUMES, volumes, "answer to VOLUME_LIST")                       \
	M(28, VOLUME_ROOM, volume_room, "home asks: would you hold a volume")  \
	M(29, VOLUME_ROOM_REPLY, volume_room_reply, "yes, and in how much room")\
	M(30, VOLUME_FOLDER, volume_folder, "home: make, remove its folder")   \
	M(31, VOLUME_FOLDER_REPLY, volume_folder_reply, "where that is")       \
	M(32, STATUS, status, "what this node knows of the cloud")             \
	M(33, STATUS_REPLY, status_reply, "one row a node")                    \
	M(34, CHOOSE, choose, "which node should run a job")                   \
	M(35, CHOSEN, chosen, "the node, and why")                             \
	M(36, RELOAD, reload, "read the configuration again")                  \
	M(37, AUDIT, audit, "entries of the audit log")                        \
	M(38, AUDIT_ENTRIES, audit_entries, "answer to AUDIT")                 \
	M(39, LOAD, load, "ask a node for its load now")                       \
	M(40, LOAD_REPLY, load_reply, "answer to LOAD")                        \
	M(41, PROMOTE, promote, "make a node the home node")                   \
	M(42, NODE_LIST, node_list, "nodes in the catalog")                    \
	M(43, NODES, nodes, "answer to NODE_LIST")                             \
	M(44, LEAVE, leave, "this machine stops being a node")                 \
	M(48, DOCTOR, doctor, "examine a node, and the way to it")             \
	M(49, DOCTOR_REPORT, doctor_report, "answer to DOCTOR")                \
	M(50, DOCTOR_PEER, doctor_peer, "answer, and try to reach the sender") \
	M(51, DOCTOR_PEER_REPLY, doctor_peer_reply, "answer to DOCTOR_PEER")

#define FIELDS_HELLO(R, O)                                                     \
	R(u16, version_min) R(u16, version_max) R(u64, features)               \
	R(u32, frame_max) R(str, node) R(bytes, session) R(u64, boot)          \
	R(str, software)
#define FIELDS_ERROR(R, O) R(s32, code) R(str, object) R(str, what) R(str, remedy)
#define FIELDS_OK(R, O)
#define FIELDS_PING(R, O) R(u64, stamp)
#define FIELDS_PONG(R, O) R(u64, stamp)
#define FIELDS_GOAWAY(R, O) R(s32, code) R(str, why)
#define FIELDS_JOIN(R, O)                                                      \
	R(bytes, secret) R(bytes, request) R(str, name) R(str, addresses)      \
	R(str, volume_path)
#define FIELDS_JOINED(R, O)                                                    \
	R(str, cloud) R(str, name) R(bytes, certificate) R(bytes, authority)   \
	R(bytes, catalog)
#define FIELDS_RENEW(R, O) R(bytes, request)
#define FIELDS_RENEWED(R, O) R(bytes, certificate)
#define FIELDS_CATALOG_PULL(R, O) R(u64, epoch) R(u64, since)
#define FIELDS_CATALOG_ROWS(R, O)                                              \
	R(u64, epoch) R(u64, change) R(u8, whole) R(u8, more) R(str, home)     \
	R(bytes, signature) R(u32, key_number) R(bytes, group_key)             \
	R(list, rows)
#define FIELDS_INVITE(R, O) R(str, name) R(u32, seconds)
#define FIELDS_INVITED(R, O) R(str, token) R(str, name)
#define FIELDS_NODE_CHANGE(R, O) R(str, node) R(str, action) O(str, addresses)
#define FIELDS_VOLUME_CHANGE(R, O)                                             \
	R(str, action) R(str, volume) R(str, node) R(str, path) R(str, options)
/* Action create without a path: in a folder made for it on the node, or on the
 * best one when that is empty, too. Action rmdir removes the folder as well, if
 * it was made so and is empty.
 */
#define FIELDS_VOLUME_LIST(R, O)
#define FIELDS_VOLUMES(R, O) R(list, volumes)
/* For whom, a node's name. */
#define FIELDS_VOLUME_ROOM(R, O) R(str, node)
#define FIELDS_VOLUME_ROOM_REPLY(R, O)                                         \
	R(u64, bytes) R(u64, bytes_free) R(u32, idle_ppm)
/* Action make or remove, the latter of @path; @trusted: @node may do all. */
#define FIELDS_VOLUME_FOLDER(R, O)                                             \
	R(str, action) R(str, volume) R(str, node) R(str, path) R(u8, trusted)
#define FIELDS_VOLUME_FOLDER_REPLY(R, O) R(str, path)
#define FIELDS_STATUS(R, O)
#define FIELDS_STATUS_REPLY(R, O)                                              \
	R(str, cloud) R(str, self) R(str, home) R(u64, change) R(list, nodes)
/* Policy as in virgo_client.conf, "" for its default; candidates as its nodes,
 * "" for all. CHOSEN has every candidate, those that cannot be taken last, with
 * a score of all ones.
 */
#define FIELDS_CHOOSE(R, O) R(str, policy) R(u32, count) R(str, candidates)
#define FIELDS_CHOSEN(R, O) R(list, nodes)
#define FIELDS_RELOAD(R, O)
#define FIELDS_AUDIT(R, O) R(u64, since) R(u32, count)
#define FIELDS_AUDIT_ENTRIES(R, O) R(list, entries)
#define FIELDS_LOAD(R, O)
#define FIELDS_LOAD_REPLY(R, O)                                                \
	R(u32, cpus) R(u32, idle_ppm) R(u32, load1_milli) R(u64, memory_bytes) \
	R(u64, memory_free_bytes) R(u32, jobs) R(u64, service_us)              \
	O(str, version)
#define FIELDS_PROMOTE(R, O)                                                   \
	R(str, node) R(u64, epoch) R(u64, change) R(bytes, authority_key)      \
	R(list, rows)
#define FIELDS_NODE_LIST(R, O)
#define FIELDS_NODES(R, O) R(str, home) R(list, nodes)
#define FIELDS_LEAVE(R, O) R(u8, force)

#define FIELDS_DOCTOR(R, O) R(str, node) R(list, users)
#define FIELDS_DOCTOR_REPORT(R, O) R(list, findings)
#define FIELDS_DOCTOR_PEER(R, O) R(u8, back) R(list, users)
#define FIELDS_DOCTOR_PEER_REPLY(R, O)                                         \
	R(u64, time_us) R(str, back) R(str, state) R(list, findings)

#define CONTROL_RECORDS(M)                                                     \
	M(CATALOG_ROW, catalog_row, "one row of the catalog")                  \
	M(NODE_ROW, node_row, "catalog: a node")                               \
	M(REMOVAL_ROW, removal_row, "catalog: a signed removal")               \
	M(INVITATION_ROW, invitation_row, "home node only: an invitation")     \
	M(CATALOG_HEAD, catalog_head, "what a catalog says about itself")      \
	M(VOLUME_ROW, volume_row, "catalog: a volume")                         \
	M(NODE_STATUS, node_status, "STATUS_REPLY: a node as seen from here")  \
	M(CHOICE, choice, "CHOSEN: a candidate, best first")                   \
	M(AUDIT_ENTRY, audit_entry, "AUDIT_ENTRIES: an entry")                 \
	M(FINDING, finding, "DOCTOR_REPORT: 0 fine, 1 a note, 2 a fault")

#define FIELDS_CATALOG_ROW(R, O)                                               \
	R(str, table) R(str, key) R(u64, change) R(u8, deleted) R(bytes, value)
#define FIELDS_NODE_ROW(R, O)                                                  \
	R(str, name) R(str, addresses) R(str, serial) R(u8, draining)          \
	R(u64, joined_s) R(u8, home) R(u64, expires_s)
#define FIELDS_REMOVAL_ROW(R, O)                                               \
	R(u64, number) R(str, name) R(str, stem) R(u64, time_s)                \
	R(u64, until_s) R(bytes, signature)
#define FIELDS_INVITATION_ROW(R, O)                                            \
	R(bytes, secret_hash) R(str, name) R(u64, expires_s) R(u64, used_s)    \
	R(bytes, key_hash)
#define FIELDS_CATALOG_HEAD(R, O)                                              \
	R(str, cloud) R(str, self) R(str, home) R(u64, epoch) R(u64, change)   \
	R(u64, pruned) R(bytes, signature) R(u32, key_number)                  \
	R(bytes, group_key) R(str, heir)
#define FIELDS_VOLUME_ROW(R, O)                                                \
	R(str, name) R(str, node) R(str, kind) R(str, path) R(str, squash)     \
	R(str, idmap) R(str, allow) R(bytes, id) R(u32, slot)                  \
	O(str, addresses)
#define FIELDS_NODE_STATUS(R, O)                                               \
	R(str, name) R(str, state) R(str, address) R(u32, cpus)                \
	R(u32, idle_ppm) R(u32, load1_milli) R(u64, memory_bytes)              \
	R(u64, memory_free_bytes) R(u32, round_trip_us) R(u32, jobs)           \
	R(str, version) R(u8, home) R(u8, self)
#define FIELDS_CHOICE(R, O)                                                    \
	R(str, name) R(u64, score) R(u32, in_flight) R(u64, service_us)        \
	R(u32, idle_ppm) R(str, why)
#define FIELDS_FINDING(R, O)                                                   \
	R(str, name) R(u8, level) R(str, what) R(str, remedy)
#define FIELDS_AUDIT_ENTRY(R, O)                                               \
	R(u64, number) R(u64, time_s) R(str, node) R(str, user) R(str, action) \
	R(str, object) R(str, result)

#endif

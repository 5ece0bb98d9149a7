/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages between kernels, over connections that virgo.ko has taken over; how
 * to read the tables is in messages.h. Who speaks is known from the connection.
 */
#ifndef VIRGO_CORE_MSG_KERNEL_H
#define VIRGO_CORE_MSG_KERNEL_H

#define KERNEL_MESSAGES(M)                                                     \
	M(256, CALL, call, "call a kernel function")                           \
	M(257, CALLED, called, "what the function gave")

/* The caller takes no more than result_max bytes, and waits no longer. Without a
 * user it is the node's kernel or administrator, else a user of that node.
 */
#define FIELDS_CALL(R, O)                                                      \
	R(str, name) R(u32, deadline_ms) R(u32, result_max) R(bytes, argument) \
	O(str, user)
#define FIELDS_CALLED(R, O) R(bytes, result)

#endif

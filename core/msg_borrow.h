/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages between virgo-borrow and the virgod of its machine; how to read the
 * tables is in messages.h. virgo-borrow does what may block (devices, mirrors,
 * swap) and virgod what needs the cloud: which nodes could lend, and passing
 * MEMORY_LEASE and the like (msg_memory.h) on to them.
 */
#ifndef VIRGO_CORE_MSG_BORROW_H
#define VIRGO_CORE_MSG_BORROW_H

#define BORROW_MESSAGES(M)                                                     \
	M(400, BORROW_LENDERS, borrow_lenders, "which nodes could lend")       \
	M(401, BORROW_LENDER_LIST, borrow_lender_list,                         \
	  "answer to BORROW_LENDERS, the best first")                          \
	M(402, BORROW_PASS, borrow_pass, "pass this request on to a lender")   \
	M(403, BORROW_PASSED, borrow_passed, "its answer")                     \
	M(404, BORROW_TEND, borrow_tend, "look after what is borrowed")

#define FIELDS_BORROW_LENDERS(R, O) R(str, purpose) R(u64, bytes)
#define FIELDS_BORROW_LENDER_LIST(R, O) R(list, lenders)
#define FIELDS_BORROW_PASS(R, O) R(str, node) R(u16, type) R(bytes, payload)
#define FIELDS_BORROW_PASSED(R, O) R(u16, type) R(bytes, payload)
#define FIELDS_BORROW_TEND(R, O)

#define BORROW_RECORDS(M)                                                      \
	M(LENDER, lender, "BORROW_LENDER_LIST: a node; why says why not")

#define FIELDS_LENDER(R, O)                                                    \
	R(str, node) R(u64, free_bytes) R(u32, round_trip_us) R(str, why)

#endif

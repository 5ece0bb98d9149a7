/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is there: SWIM (Das, Gupta, Motivala 2002) with the refinements of
 * Lifeguard (Dadgar, Phillips, Currey 2018) as a pure state machine. It does no
 * I/O, reads no clock, draws no random number and allocates nothing: the owner
 * passes time, datagrams, randomness and memory in, and gets datagrams and
 * events through struct swim_ops.
 *
 * Members are 64-bit numbers; what they are called and where they live is the
 * owner's business, who also decides which exist (swim_add, swim_remove): a
 * datagram never creates a member. Datagrams must have been authenticated
 * before they come in.
 *
 * Every probe period a node asks one member whether it lives, in turn its
 * successor by number (so that everyone is watched by someone, and the first
 * question after a death comes within two periods) and the next one of a random
 * round of all. Who does not answer three direct and two times three indirect
 * questions becomes suspect; a suspect that does not refute in time is down.
 * News travel on these datagrams and, while there are any, on a few more every
 * gossip interval. Nothing else depends on the number of members, so the cost
 * of a node is the same in a cloud of 1,000 and of 10,000.
 *
 * Not thread-safe: the owner calls from one thread or holds a lock. No function
 * blocks.
 */
#ifndef VIRGO_CORE_SWIM_H
#define VIRGO_CORE_SWIM_H

#include "env.h"

struct swim;

enum {
	SWIM_PACKET_MAX = 1152, /* fits IPv6's least MTU, sealed */
	SWIM_DIGEST_MAX = 20,
};

enum swim_state {
	SWIM_UNKNOWN, /* not heard of since it was added */
	SWIM_UP,
	SWIM_SUSPECT, /* somebody got no answer; it may still refute */
	SWIM_DOWN,
};

struct swim_limits {
	u32 members;	/* at most this many others */
	u16 suspicions; /* at most this many suspects at once, >= 1 */
	u16 updates;	/* at most this many pieces of news in spread, >= 8 */
};

/* All of these are called from inside swim_* calls and must not call back,
 * except swim_state_of(), swim_incarnation_of() and swim_count().
 */
struct swim_ops {
	/* Any 32 random bits. */
	u32 (*random)(void *arg);
	/* Send @len bytes to member @to. @reply: to where the datagram now
	 * being received came from. May fail silently.
	 */
	void (*send)(void *arg, u64 to, bool reply, const u8 *data, size_t len);
	/* A member's state changed. */
	void (*changed)(void *arg, u64 id, enum swim_state old,
			enum swim_state now);
	/* A number above any known one was heard; swim_set_change(). */
	void (*heard_change)(void *arg, u64 change);
	/* A member said this of itself in a probe or its answer. */
	void (*digest)(void *arg, u64 id, const u8 *data, size_t len);
	/* A first question was answered directly after this long. */
	void (*round_trip)(void *arg, u64 id, u32 us);
};

/* Bytes swim_init() needs, aligned as for a u64; 0 when @l is out of range. */
size_t swim_bytes(const struct swim_limits *l);

/*
 * @self is this node's number, not 0. @incarnation should be above that of any
 * earlier life of it (if not, the others' memory of the earlier one is refuted
 * first, which takes a moment longer). @ops must outlive the result, which lies
 * in @memory.
 */
struct swim *swim_init(void *memory, const struct swim_limits *l, u64 self,
		       u32 incarnation, const struct swim_ops *ops, void *arg,
		       u64 now_us);

/* -EEXIST, -ENOSPC or -EINVAL (0, or this node itself). With @state other than
 * SWIM_UNKNOWN the member is taken as seen at @incarnation. Time is linear in
 * the number of members with higher numbers.
 */
int swim_add(struct swim *s, u64 id, enum swim_state state, u32 incarnation);
/* Forgets a member, at once and without an event. -ENOENT. */
int swim_remove(struct swim *s, u64 id);

/* A datagram came. -EBADMSG when malformed (nothing happened), -ENOENT when it
 * is from a number that is no member (it got its answer, nothing else
 * happened), -ELOOP when from this node itself.
 */
int swim_receive(struct swim *s, u64 now_us, const u8 *data, size_t len);

/* Does what is due. The owner calls it at swim_next_us() or soon after; being
 * late is noticed by the missing answers and makes this node more patient.
 */
void swim_run(struct swim *s, u64 now_us);
u64 swim_next_us(const struct swim *s);

/* Asks the others for their whole view, page by page; also done at the start
 * and when this node hears that it was thought down.
 */
void swim_pull(struct swim *s, u64 now_us);
/* Tells a few members that this node is going. Afterwards it no longer probes,
 * answers or refutes.
 */
void swim_leave(struct swim *s, u64 now_us);

/* A number of which the highest wins everywhere (the catalog's change). A lower
 * one than known is ignored.
 */
void swim_set_change(struct swim *s, u64 now_us, u64 change);
u64 swim_change(const struct swim *s);
/* What this node says of itself, at most SWIM_DIGEST_MAX bytes. */
void swim_set_digest(struct swim *s, const void *data, size_t len);

u64 swim_self(const struct swim *s);
u32 swim_incarnation(const struct swim *s);
/* SWIM_UNKNOWN also for a number that is no member. */
enum swim_state swim_state_of(const struct swim *s, u64 id);
u32 swim_incarnation_of(const struct swim *s, u64 id);
/* Members other than this node: all, or those in one state. */
u32 swim_count(const struct swim *s);
u32 swim_count_in(const struct swim *s, enum swim_state state);
/* The member at @place, 0 to swim_count()-1, in order of number. */
u64 swim_at(const struct swim *s, u32 place, enum swim_state *state);
/* Lifeguard's local health: 0 well, to 8: this node itself seems slow. */
u32 swim_health(const struct swim *s);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of exports as other programs drive it, over a unix socket that only
 * root and virgo-nbd's own user may use. A request is a line, an answer one or
 * more, of which the last begins with "ok" or "error":
 *
 *	add NAME SIZE [OWNER]		ok GENERATION
 *	remove NAME[@GENERATION]	ok
 *	list				NAME SIZE GENERATION OWNER HELD USERS
 *					   SINCE COMPRESSED ... ok COUNT
 *	status				ok held=BYTES quota=BYTES locked=yes|no
 *					   exports=N connections=N requests=N
 *					   stored=BYTES compressed=BYTES short=yes|no
 *	quota BYTES			ok
 *	headroom BYTES			ok
 *	reload				ok
 *	end				ok
 *
 *	error CODE TEXT			CODE is a name of errno(3)
 *
 * Sizes are bytes; an OWNER of "-" is none, then whoever may connect may open
 * it (secure.h says which owners there are). SINCE is when it was made, in seconds
 * since 1970. COMPRESSED is how much of HELD is compressed, stored what all
 * takes, and short whether memory is (reclaim.h). An add is answered when the export is in the pool's table. A remove cuts
 * those who use it, and its memory is free when it is answered. The name with a
 * generation removes only that very export. A reload reads the keys of TLS again;
 * connections keep theirs. An end, refused while there are exports, ends virgo-nbd
 * and its holder.
 */
#ifndef VIRGO_NBD_CONTROL_H
#define VIRGO_NBD_CONTROL_H

#include "server.h"

struct control;

/* 0, or a negative errno with @f. */
int control_open(struct control **out, struct server *s, const char *path,
		 struct failure *f);
void control_close(struct control *c);

#endif

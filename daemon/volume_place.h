/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volumes that have no folder yet: the home node asks which node would hold one
 * and has it made there; and removes folders that were made so.
 *
 *	asking for room -> making the folder -> row in the catalog -> answer
 *	      (all at once)   ^      | refused: the next best
 *			      '------'
 *	removing the folder -> row out of the catalog -> answer
 *
 * A crash between folder and row leaves an empty folder, which the next mkdir of
 * that name takes, or a row without a folder, which cannot be opened and is taken
 * away by `virgo volume remove`.
 */
#ifndef VIRGO_DAEMON_VOLUME_PLACE_H
#define VIRGO_DAEMON_VOLUME_PLACE_H

#include "service.h"

/* Answers @r, a VOLUME_CHANGE that creates without a path, later. @m->node is
 * the node to take, or empty for the best.
 */
void volume_place(struct request *r, const struct msg_volume_change *m);
/* Answers @r, a VOLUME_CHANGE rmdir of @v, later. @trusted: who asks may remove
 * any volume, not just one that mkdir made.
 */
void volume_unplace(struct request *r, const struct rec_volume_row *v,
		    bool trusted);

/* Forgets what is on its way; nobody is answered any more. */
void volume_place_end(struct node *n);

/* volumes.c: the change of the catalog itself. 0, or a negative errno and @f. */
int volume_row_add(struct node *n, const char *name, const char *node,
		   struct span path, struct span options, struct failure *f);
int volume_row_remove(struct node *n, const char *name, struct failure *f);

/* volume_folder.c: this node's side. Each fills in @out, or gives a negative
 * errno and @f. @node is who asks.
 */
int volume_room(struct node *n, const char *node,
		struct msg_volume_room_reply *out, struct failure *f);
int volume_folder_make(struct node *n, const char *node, const char *name,
		       char path[4096], struct failure *f);
int volume_folder_remove(struct node *n, const struct msg_volume_folder *m,
			 struct failure *f);
void volume_folder_serve(struct node *n);

#endif

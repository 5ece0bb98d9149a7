/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists the volumes that whoever asks may mount. Root of this machine, and a node
 * that [cloud] administrators names, sees all. Anyone else sees a volume whose
 * list of nodes has his node; those of this node itself only while [allow] lets
 * him use this node. What another node's [allow] says only that node knows: it
 * refuses when the volume is used.
 */
#ifndef VIRGO_DAEMON_VOLUME_LIST_H
#define VIRGO_DAEMON_VOLUME_LIST_H

#include "node.h"

struct volume_list;

/* Registers the service. NULL when memory is out. */
struct volume_list *volume_list_new(struct node *n);
void volume_list_free(struct volume_list *l);

#endif

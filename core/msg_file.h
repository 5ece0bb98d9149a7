/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File messages; how to read the tables is in messages.h. */
#ifndef VIRGO_CORE_MSG_FILE_H
#define VIRGO_CORE_MSG_FILE_H

#define FILE_MESSAGES(M)
#define FILE_RECORDS(M)

#endif

// SPDX-License-Identifier: LGPL-2.1-or-later
/* Log lines of the daemons; the contract is in log.h. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *log_program = "virgo";
static enum log_level log_least = LOG_LEVEL_NOTICE;
static int log_prefixed;

void log_open(const char *program, enum log_level least)
{
	log_program = program;
	log_least = least;
	log_prefixed = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n = 0;
	int m;

	if (level > log_least)
		return;
	if (log_prefixed)
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	n += snprintf(line + n, sizeof(line) - n, "%s: ", log_program);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* A log that cannot be written has nowhere to report it. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Log lines of the daemons: to standard error, one line each, with the
 * syslog level prefix "<3>" that journald understands when it is the reader.
 * Any thread may log; a line is one write.
 */
#ifndef VIRGO_LIB_LOG_H
#define VIRGO_LIB_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE,
		 LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* @program is put in front of each line and must outlive logging. */
void log_open(const char *program, enum log_level least);

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

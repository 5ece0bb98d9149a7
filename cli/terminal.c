// SPDX-License-Identifier: GPL-2.0-or-later
/* The caller's terminal; the contract is in terminal.h. */
#include "terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile bool is_raw;

void terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = false;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

bool terminal_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before))
		return false;
	raw = before;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw))
		return false;
	is_raw = true;
	atexit(terminal_restore);
	return true;
}

void terminal_size(u16 *rows, u16 *cols)
{
	struct winsize ws;

	*rows = 24;
	*cols = 80;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws))
		return;
	if (ws.ws_row && ws.ws_col) {
		*rows = ws.ws_row;
		*cols = ws.ws_col;
	}
}

# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for virgo-nbd(8). Options are asked of the program.

complete -c virgo-nbd -a '(virgo-nbd --help 2>/dev/null |
    string match -ar -- "--[a-z][a-z-]*" | sort -u)'

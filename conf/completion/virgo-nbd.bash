# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for virgo-nbd(8). Options are asked of the program.

_virgo_nbd() {
	local cur=${COMP_WORDS[COMP_CWORD]}

	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--state | --tls)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	--psk | --unix | --control)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	--plaintext-on)
		mapfile -t COMPREPLY < <(compgen -W \
			"$(ls /sys/class/net)" -- "$cur")
		return ;;
	--size | --quota | --name | --listen | --connections)
		return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$(virgo-nbd --help 2>/dev/null |
		grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$cur")
}

complete -F _virgo_nbd virgo-nbd

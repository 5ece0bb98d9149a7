# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for virgo(1). Verbs and options are asked of the program, so
# this file names none of them.

_virgo_verbs() {
	virgo --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *.*/\1/p'
}

_virgo_options() {
	virgo "$@" --help 2>/dev/null | grep -oE -- '(^|[ ,[|])--?[a-zA-Z][a-z-]*' |
		grep -oE -- '--?[a-zA-Z][a-z-]*' | sort -u
}

_virgo_nodes() {
	virgo status 2>/dev/null | sed -n '2,$s/^\([a-z0-9][a-z0-9-]*\) .*/\1/p'
}

_virgo() {
	local cur prev verb='' i skip=0

	COMPREPLY=()
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [ "$skip" = 1 ]; then
			skip=0
			continue
		fi
		case ${COMP_WORDS[i]} in
		--state | --conf) skip=1 ;;
		-*) ;;
		*) verb=${COMP_WORDS[i]}
			break ;;
		esac
	done
	case $prev in
	--state | --conf | --cwd)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	--bcast)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	-n | -w | --node | --of)
		mapfile -t COMPREPLY < <(compgen -W "$(_virgo_nodes)" -- "$cur")
		return ;;
	esac
	if [ -z "$verb" ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_virgo_verbs) --state --conf --help --version" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$(_virgo_options "$verb")" -- "$cur")
	elif [[ $verb == cache && $prev == cache ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"start stop list stats get set" -- "$cur")
	elif [[ $verb =~ ^(node|doctor)$ ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_virgo_nodes)" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _virgo virgo

# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for virgo(1). Verbs and options are asked of the program, so
# this file names none of them.

function __virgo_verbs
    virgo --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *\(.*\)/\1\t\2/p'
end

function __virgo_verb
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --state --conf
                set -e words[1]
            case '-*'
            case '*'
                echo $words[1]
                return 0
        end
        set -e words[1]
    end
    return 1
end

function __virgo_options
    virgo (__virgo_verb) --help 2>/dev/null |
        grep -oE -- '(^|[ ,[|])--?[a-zA-Z][a-z-]*' |
        grep -oE -- '--?[a-zA-Z][a-z-]*' | sort -u
end

function __virgo_nodes
    virgo status 2>/dev/null | sed -n '2,$s/^\([a-z0-9][a-z0-9-]*\) .*/\1/p'
end

complete -c virgo -n 'not __virgo_verb' -f -a '(__virgo_verbs)'
complete -c virgo -l state -r -d 'folder of the state'
complete -c virgo -l conf -r -d 'folder of the configuration'
complete -c virgo -n __virgo_verb -a '(__virgo_options)'
complete -c virgo -n '__virgo_verb' -s n -x -a '(__virgo_nodes)'
complete -c virgo -n '__virgo_verb' -l node -x -a '(__virgo_nodes)'
complete -c virgo -n '__virgo_verb' -l of -x -a '(__virgo_nodes)'

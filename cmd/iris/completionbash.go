package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// bashChanges are the changes of cobra's script. It calls functions of the package
// bash-completion, which many machines do not have, and bash splits words at "@".
var bashChanges = strings.NewReplacer(
	"    if declare -F _init_completion >/dev/null 2>&1; then\n        _init_completion -n =: || return\n    else\n        __iris_init_completion -n =: || return\n    fi\n",
	"    __iris_init_completion\n",
	"    # Call _init_completion from the bash-completion package\n    # to prepare the arguments properly\n", "",
	"# Macs have bash3 for which the bash-completion package doesn't include\n# _init_completion. This is a minimal version of that function.\n",
	"# The words up to the cursor, divided by blanks alone: bash divides them at \"=\",\n# \":\" and \"@\", too.\n",
	"    COMPREPLY=()\n    _get_comp_words_by_ref \"$@\" cur prev words cword\n", bashWords,
	"_filedir", "__iris_filedir",
	"# This function calls the iris program", bashFiles+"# This function calls the iris program",
	"    __iris_handle_special_char \"$cur\" =\n", "    __iris_handle_special_char \"$cur\" =\n    __iris_handle_at \"$cur\"\n",
)

const bashWords = `    local i word rest=${COMP_LINE:0:COMP_POINT}
    COMPREPLY=()
    words=()
    cword=-1
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            ((++cword))
            words[cword]=
        fi
        ((i == COMP_CWORD)) && word=$rest
        words[cword]+=$word
        rest=${rest#"$word"}
    done
    cur=${words[cword]}
`

const bashFiles = `# The names of files, or with -d of directories, that begin like the word.
__iris_filedir()
{
    local IFS=$'\n'
    [[ $(type -t compopt) == builtin ]] && compopt -o filenames
    COMPREPLY=($(compgen "${1:--f}" -- "$cur"))
}

# Of a word with "@" in it, bash replaces the part from the last "@" on.
__iris_handle_at()
{
    local idx=${#COMPREPLY[*]}
    [[ $1 == *@* && $COMP_WORDBREAKS == *@* ]] || return
    while ((--idx >= 0)); do
        COMPREPLY[idx]=${COMPREPLY[idx]#"${1%@*}"}
    done
}

`

func bashCompletion(root *cobra.Command, stdout io.Writer) error {
	var script strings.Builder
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	_, err := bashChanges.WriteString(stdout, script.String())
	return err
}

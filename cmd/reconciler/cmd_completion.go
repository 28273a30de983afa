package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Write the script that teaches a shell to complete verbs, flags and names",
		Long: `Write the script that teaches a shell to complete verbs, flags, the names of containers, phases and signals.
bash needs its package bash-completion.`,
		Example: `  source <(reconciler completion bash)
  reconciler completion zsh >"${fpath[1]}/_reconciler"
  reconciler completion fish >~/.config/fish/completions/reconciler.fish`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("completion needs the name of one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			}
			return usageError{fmt.Errorf("there is no completion for %q: name one of %s", args[0], strings.Join(shells, ", "))}
		},
	}
}

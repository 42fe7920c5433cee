package claudetest

import (
	"fmt"
	"os"
	"slices"
)

// answerQuery answers what is only asked about the program itself, and reports
// whether anything was. A key in the environment is all there is of a login.
func answerQuery(args []string) (status int, ok bool) {
	key := os.Getenv("ANTHROPIC_API_KEY") != ""
	switch {
	case slices.Equal(args, []string{"--version"}):
		flags, _ := parseFlags(args)
		fmt.Println(flags.version() + " (Claude Code)")
	case slices.Equal(args, []string{"auth", "--help"}):
		fmt.Print("Usage: claude auth [options] [command]\n\nCommands:\n  login [options]   Sign in\n  status [options]  Show authentication status\n")
	case !slices.Equal(args, []string{"auth", "status", "--json"}):
		return 0, false
	case key:
		fmt.Println(`{"loggedIn": true, "authMethod": "api_key", "apiProvider": "firstParty", "apiKeySource": "ANTHROPIC_API_KEY"}`)
	default:
		fmt.Println(`{"loggedIn": false, "authMethod": "none", "apiProvider": "firstParty"}`)
		status = 1
	}
	return status, true
}

package main

import (
	"strings"
	"testing"
)

func TestFindingsFitTheTerminal(t *testing.T) {
	long := "~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)"
	for _, c := range []struct {
		f        finding
		terminal int
		want     string
	}{
		{finding{Check: "team", Team: "api", Is: checkOK, Found: "/home/me/src/docs, well"}, 80, `
ok    team api      ~/src/docs, well
`},
		{finding{Check: "team", Team: "請求書", Is: checkFail, Found: long, Mend: "a command that is longer than the terminal is wide"}, 50, `
fail  team 請求書   ~/src/docs, /usr/bin/claude
                    2.1.197, logged in (api_key)
                    mend: a command that is longer than the terminal is wide
`},
		{finding{Check: "team", Team: "of-a-long-name", Is: checkWarn, Found: long, Mend: "iris"}, 80, `
warn  team of-a-long-name
                    ~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)
                    mend: iris
`},
		{finding{Check: "team", Team: "of-a-long-name", Is: checkWarn, Found: long}, 0, `
warn  team of-a-long-name  ~/src/docs, /usr/bin/claude 2.1.197, logged in (api_key)
`},
	} {
		if got, want := c.f.text("/home/me", 12, c.terminal), strings.TrimPrefix(c.want, "\n"); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

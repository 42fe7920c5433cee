package claudetest

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"iris/config/sys/systest"
	"iris/pool/echo"

	"go.uber.org/goleak"
)

// echoName makes the test binary the built-in agent.
const echoName = "irisecho"

func TestMain(m *testing.M) {
	Main()
	if filepath.Base(os.Args[0]) == echoName {
		syscall.Exit(echo.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	systest.Begin()
	goleak.VerifyTestMain(m)
}

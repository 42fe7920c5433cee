package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

// buildVersion returns the version of this program, "dev" when nobody gave it
// one.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

type versionOptions struct {
	json bool
}

func (o *versionOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newVersionCmd(*globals) *cobra.Command {
	var opts versionOptions
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long: `Print the version of this program. That of the running daemon is in
"iris status".

JSON
  version, protocol, go, os, arch

EXIT STATUS
0 2`,
		Example: `  iris version
  iris version --json`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runVersion(opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runVersion(opts versionOptions, stdout io.Writer) error {
	v := struct {
		Version  string `json:"version"`
		Protocol int    `json:"protocol"`
		Go       string `json:"go"`
		OS       string `json:"os"`
		Arch     string `json:"arch"`
	}{buildVersion(), ipc.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH}
	if opts.json {
		return printJSON(stdout, v)
	}
	_, err := fmt.Fprintf(stdout, "iris %s (protocol %d, %s, %s/%s)\n", v.Version, v.Protocol, v.Go, v.OS, v.Arch)
	return err
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what "go list" says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestClientLinksNothingSlow guards the start-up of every command, which pays
// for all that the program links, used or not.
func TestClientLinksNothingSlow(t *testing.T) {
	modules := []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/adrg/xdg", "github.com/fsnotify/fsnotify",
		"github.com/pelletier/go-toml/v2", "gopkg.in/natefinch/lumberjack.v2", "go.etcd.io/bbolt", "golang.org/x/sys", "golang.org/x/term",
	}
	slow := []string{
		"net/http", "crypto/tls", "html/template", "expvar", "testing", "encoding/gob", "encoding/xml", "go/", "database/",
		"net/rpc", "github.com/spf13/cobra/doc",
	}
	for _, p := range goList(t, "-deps", ".") {
		for _, s := range slow {
			if p.ImportPath == s || strings.HasPrefix(p.ImportPath, strings.TrimSuffix(s, "/")+"/") {
				t.Errorf("iris links %s", p.ImportPath)
			}
		}
		ours := strings.HasPrefix(p.ImportPath, "iris/")
		if !p.Standard && !ours && !slices.ContainsFunc(modules, func(m string) bool { return within(p.ImportPath, m) }) {
			t.Errorf("iris links %s, which is no dependency that was chosen", p.ImportPath)
		}
	}
}

func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// TestImportsGoOneWay checks which of our packages may know which.
func TestImportsGoOneWay(t *testing.T) {
	may := map[string][]string{
		"iris/cmd/iris": {
			"iris/cmd/iris/internal/systemd", "iris/cmd/iris/internal/terminal",
			"iris/config", "iris/daemon", "iris/ipc", "iris/pool/claude/transcript", "iris/pool/adapter", "iris/pool/claude/variables", "iris/pool/echo", "iris/pool/turn",
		},
		"iris/cmd/iris-mcp":               {"iris/config", "iris/ipc", "iris/pool/turn"},
		"iris/cmd/iris/internal/systemd":  {"iris/config"},
		"iris/cmd/iris/internal/terminal": {},
		"iris/daemon":                     {"iris/config", "iris/daemon/agents", "iris/daemon/approval", "iris/daemon/attach", "iris/daemon/conversation", "iris/daemon/delivery", "iris/daemon/fault", "iris/daemon/journal", "iris/daemon/notify", "iris/daemon/store", "iris/ipc", "iris/pool", "iris/pool/claude", "iris/pool/claude/transcript", "iris/pool/procs"},
		"iris/daemon/delivery":            {"iris/config", "iris/daemon/agents", "iris/daemon/approval", "iris/daemon/conversation", "iris/daemon/fault", "iris/daemon/journal", "iris/daemon/store", "iris/ipc", "iris/pool", "iris/pool/claude", "iris/pool/turn"},
		"iris/daemon/attach":              {"iris/daemon/agents", "iris/daemon/conversation", "iris/daemon/fault", "iris/daemon/journal", "iris/ipc", "iris/pool", "iris/pool/claude", "iris/pool/procs"},
		"iris/daemon/agents":              {"iris/config", "iris/daemon/conversation", "iris/daemon/fault", "iris/daemon/journal", "iris/daemon/store", "iris/ipc", "iris/pool", "iris/pool/adapter", "iris/pool/claude", "iris/pool/claude/variables", "iris/pool/turn", "iris/pool/procs"},
		"iris/daemon/approval":            {"iris/config", "iris/daemon/fault", "iris/ipc", "iris/pool", "iris/pool/claude", "iris/pool/turn"},
		"iris/daemon/notify":              {"iris/config", "iris/ipc", "iris/pool"},
		"iris/daemon/conversation":        {"iris/config", "iris/daemon/fault", "iris/daemon/journal", "iris/daemon/store", "iris/ipc", "iris/pool", "iris/pool/claude", "iris/pool/turn"},
		"iris/daemon/fault":               {"iris/config", "iris/ipc", "iris/pool", "iris/pool/claude"},
		"iris/daemon/store":               {"iris/daemon/fault", "iris/daemon/journal", "iris/ipc"},
		"iris/pool/claude":                {"iris/pool", "iris/pool/claude/variables", "iris/pool/turn", "iris/pool/procs"},
		"iris/pool/claude/transcript":     {},
		"iris/pool/claude/variables":      {},
		"iris/config":                     {},
		"iris/ipc":                        {"iris/pool/turn"},
		"iris/pool":                       {"iris/pool/turn"},
		"iris/pool/echo":                  {},
		"iris/pool/adapter":               {"iris/pool/echo", "iris/pool/procs"},
		"iris/daemon/journal":             {"iris/pool/turn"},
		"iris/pool/procs":                 {},
		"iris/config/sys":                 {}, // which all others but pool may import
		"iris/pool/turn":                  {},
	}
	plain := []string{"iris/ipc", "iris/pool", "iris/pool/turn", "iris/pool/procs", "iris/config/sys"} // the standard library only, and x/sys
	for _, p := range goList(t, "iris/...") {
		allowed, known := may[p.ImportPath]
		if !known {
			continue // test equipment
		}
		for _, i := range p.Imports {
			switch {
			case i == "iris/config/sys" && p.ImportPath != "iris/pool":
			case strings.HasPrefix(i, "iris/") && !slices.Contains(allowed, i):
				t.Errorf("%s imports %s", p.ImportPath, i)
			case slices.Contains(plain, p.ImportPath) && strings.Contains(i, ".") && !within(i, "golang.org/x/sys"):
				t.Errorf("%s imports %s", p.ImportPath, i)
			case p.ImportPath == "iris/pool" && (i == "os/exec" || i == "encoding/json"):
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

// TestOnlyDaemonGoImportsDaemon keeps the clients thin.
func TestOnlyDaemonGoImportsDaemon(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"iris/daemon"` && name != "daemon.go" {
				t.Errorf("%s imports iris/daemon", name)
			}
		}
	}
}

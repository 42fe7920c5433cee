package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGenerated compares completions/ and man/ with what the command tree
// makes; with -update it writes them.
func TestGenerated(t *testing.T) {
	checkDir(t, "../../completions", completionFiles(t))
	pages := manFiles(newRootCmd())
	pages["iris-protocol.7"] = protocolPage(t)
	pages["iris-internals.7"] = internalsPage(t)
	pages["iris-agent.7"] = agentPage(t)
	pages["iris-recipes.7"] = recipesPage(t)
	pages["iris-mcp.1"] = mcpPage(t)
	checkDir(t, "../../man", pages)
}

func completionFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for shell, name := range map[string]string{
		"bash": "iris.bash", "zsh": "_iris", "fish": "iris.fish", "powershell": "iris.ps1",
	} {
		var buf bytes.Buffer
		if err := runCompletion(newRootCmd(), shell, &buf); err != nil {
			t.Fatal(err)
		}
		files[name] = buf.Bytes()
	}
	return files
}

// checkDir has a directory hold these files and no others.
func checkDir(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := files[e.Name()]; ok || e.Name()[0] == '.' {
			continue
		}
		if !*update {
			t.Errorf("%s/%s is not generated", dir, e.Name())
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range files {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the commands say: go test ./cmd/iris -run Generated -update", path)
		}
	}
}

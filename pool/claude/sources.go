package claude

import (
	"bytes"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// A Source is a file or directory that an agent reads.
type Source struct {
	Path string
	Kind Kind
}

// Kind says what a change of a Source means for a running agent.
type Kind int

const (
	Once     Kind = iota // read at the start: the agent is replaced
	Reloaded             // the agent reads it again when asked to
	JSON                 // as Once; must be a JSON object, and until it is one again the agent goes on
	Settings             // as JSON, but the agent reads it again by itself: it drops all rules of a file that does not parse
)

// mustParse reports whether a file of this kind must be a JSON object.
func (k Kind) mustParse() bool { return k == JSON || k == Settings }

const (
	maxLevels  = 20        // directories: that of the agent and its parents
	maxImports = 100       // files that the CLAUDE.md files import
	maxHops    = 5         // from a CLAUDE.md to an import of an import, as Claude Code follows them
	maxText    = 256 << 10 // bytes of a file that are searched for imports
)

// Sources lists what Claude Code reads besides its configuration by arguments: in the
// directory of the agent and its parents, in the user's own directory, and where the
// administrator keeps settings. Missing files are listed, too: they may be made later.
func Sources(dir string, env, args []string) []Source {
	dir = realPath(dir)
	l := lister{from: readFrom(args), known: map[string]bool{}, home: lookup(env, "HOME")}
	user := ConfigDir(env)
	if filepath.IsAbs(user) {
		l.add(Once, user, "CLAUDE.md", "rules", "output-styles")
		l.add(Reloaded, user, "commands", "agents", "skills", filepath.Join("plugins", "installed_plugins.json"))
		l.settings("user", filepath.Join(user, "settings.json"))
	}
	own := filepath.Join(dir, ".claude")
	l.settings("project", filepath.Join(own, "settings.json"))
	l.settings("local", filepath.Join(own, "settings.local.json"))
	l.add(Once, own, "output-styles")
	for level, at := 0, dir; level < maxLevels; level, at = level+1, filepath.Dir(at) {
		l.add(Once, at, "CLAUDE.md", "CLAUDE.local.md", filepath.Join(".claude", "CLAUDE.md"), filepath.Join(".claude", "rules"))
		l.add(Reloaded, filepath.Join(at, ".claude"), "commands", "agents", "skills")
		if !l.from.strictMCP {
			l.add(JSON, at, ".mcp.json")
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	managed := managedDir()
	l.add(Once, managed, "CLAUDE.md", "managed-settings.d", "managed-mcp.json")
	l.add(Settings, managed, "managed-settings.json")
	l.arguments(dir, args)
	l.imports()
	return l.found
}

// managedDir is where an administrator keeps settings for all users.
func managedDir() string {
	if runtime.GOOS == "darwin" {
		return "/Library/Application Support/ClaudeCode"
	}
	return "/etc/claude-code"
}

// A lister collects sources, each path once.
type lister struct {
	found []Source
	known map[string]bool
	from  origins
	home  string
}

func (l *lister) add(k Kind, dir string, names ...string) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if !l.known[path] {
			l.known[path] = true
			l.found = append(l.found, Source{path, k})
		}
	}
}

// settings adds a settings file, unless the arguments leave files of that origin out.
func (l *lister) settings(origin, path string) {
	if l.from.settings == nil || slices.Contains(l.from.settings, origin) {
		l.add(Settings, "", path)
	}
}

// arguments adds the files that the team's arguments name.
func (l *lister) arguments(dir string, args []string) {
	flag := ""
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, "-") && joined:
			flag, arg = name, value
		case strings.HasPrefix(arg, "-"):
			flag = arg
			continue
		}
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || strings.HasPrefix(strings.TrimSpace(arg), "{") {
			continue
		}
		if flag == "--settings" || flag == "--mcp-config" {
			l.add(JSON, "", path)
		} else {
			l.add(Once, "", path)
		}
	}
}

// origins says which files the arguments of the program leave out.
type origins struct {
	settings  []string // origins of settings that are read; nil for all
	strictMCP bool     // no .mcp.json
}

func readFrom(args []string) (o origins) {
	for name, value := range options(args) {
		switch name {
		case "--setting-sources":
			o.settings = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
			if o.settings == nil {
				o.settings = []string{}
			}
		case "--restricted":
			o.settings = []string{}
		case "--strict-mcp-config":
			o.strictMCP = true
		}
	}
	return o
}

// options yields each argument as an option with its value: what follows its "=", or else
// the next argument.
func options(args []string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i, arg := range args {
			name, value, joined := strings.Cut(arg, "=")
			if !joined && i+1 < len(args) {
				value = args[i+1]
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// importRef finds the imports of a CLAUDE.md: @path, where spaces are escaped. It also
// finds words that Claude Code does not take for an import; to watch them does no harm.
var importRef = regexp.MustCompile(`(?:^|\s)@((?:[^\s\\]|\\ )+)`)

// imports adds the files that the CLAUDE.md files import, and the imports of these.
func (l *lister) imports() {
	var files []string
	for _, s := range l.found {
		if base := filepath.Base(s.Path); base == "CLAUDE.md" || base == "CLAUDE.local.md" {
			files = append(files, s.Path)
		}
	}
	for left, hop := maxImports, 0; hop < maxHops; hop++ {
		var next []string
		for _, file := range files {
			for _, path := range l.imported(file) {
				if left > 0 && !l.known[path] {
					left--
					l.add(Once, "", path)
					next = append(next, path)
				}
			}
		}
		files = next
	}
}

// imported returns the paths that a file imports.
func (l *lister) imported(file string) (paths []string) {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() { // to open a pipe could take for ever
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxText))
	if !bytes.ContainsRune(text, '@') {
		return nil
	}
	for _, m := range importRef.FindAllSubmatch(text, -1) {
		path := strings.ReplaceAll(string(m[1]), `\ `, " ")
		switch below, home := strings.CutPrefix(path, "~/"); {
		case home:
			path = filepath.Join(l.home, below)
		case !filepath.IsAbs(path):
			path = filepath.Join(filepath.Dir(file), path)
		}
		paths = append(paths, path)
	}
	return paths
}

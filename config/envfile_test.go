package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"

	"iris/config/sys/systest"
)

func TestReadEnvFile(t *testing.T) {
	p := newHome(t)
	file := p.Home + "/env"
	mustWrite(t, file, "\ufeff# comment\r\n\r\nA=1\r\n  export B = two words \t\nC=\nD='a \"b\" \\n $X' # why\nE=\"a 'b' \\\"c\\\" \\\\ \\n\\t\\r\\$X\"\nF=#x=y\n_g9=\"\"\nH=a\"b\nexport=1")
	env, err := ReadEnvFile(file)
	mustDo(t, err)
	want := map[string]string{"A": "1", "B": "two words", "C": "", "D": `a "b" \n $X`, "E": "a 'b' \"c\" \\ \n\t\r$X", "F": "#x=y", "_g9": "", "H": `a"b`, "export": "1"}
	if !maps.Equal(env, want) {
		t.Errorf("got  %q\nwant %q", env, want)
	}
}

// A value that is pasted in the wrong place must not reach a log.
func TestMistakesInAnEnvFileShowNoValue(t *testing.T) {
	p := newHome(t)
	file := p.Home + "/env"
	mustWrite(t, file, "SECRET\nSECRET+/==\n1A=SECRET\nA=\"SECRET\nB='SECRET' SECRET\nC=SECRET #SECRET\nD=1\nD=SECRET\n=SECRET\nIRIS_PROCESS=SECRET\nE=SEC\x00RET\nF=\"\\")
	_, err := ReadEnvFile(file)
	const rule = `before the "=": the name of a variable has only letters, digits and "_" and does not begin with a digit`
	wantErr(t, p.Home, err, `~/env:1: no "="; write NAME=value
~/env:2: `+rule+`
~/env:3: `+rule+`
~/env:4: A: the closing quote is missing; a value ends in its line
~/env:5: B: something follows the closing quote
~/env:6: C: the value holds " #": put it in quotes, or the comment on a line of its own
~/env:8: D is already set in line 7
~/env:9: `+rule+`
~/env:10: before the "=": is set by iris itself
~/env:11: E: holds a NUL byte
~/env:12: F: the closing quote is missing; a value ends in its line`)
	if strings.Contains(err.Error(), "SEC") {
		t.Error("the error holds a value")
	}
}

func TestAnEnvFileMustBePrivate(t *testing.T) {
	p := newHome(t)
	file := p.Home + "/env"
	_, err := ReadEnvFile(file)
	wantErr(t, p.Home, err, "~/env does not exist")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the error does not wrap fs.ErrNotExist")
	}
	mustWrite(t, file, "A=1\n")
	for mode, want := range map[os.FileMode]string{
		0o600: "<nil>", 0o400: "<nil>",
		0o640: "~/env: others may read it (mode 0640); run: chmod 600 ~/env",
		0o604: "~/env: others may read it (mode 0604); run: chmod 600 ~/env",
		0o620: "~/env: others may read it (mode 0620); run: chmod 600 ~/env",
	} {
		mustDo(t, os.Chmod(file, mode))
		_, err := ReadEnvFile(file)
		wantErr(t, p.Home, err, want)
	}
	_, err = ReadEnvFile(p.Home)
	wantErr(t, p.Home, err, "~: not a regular file")
	t.Run("another's", func(t *testing.T) {
		systest.NeedsRoot(t)
		mustDo(t, os.Chmod(file, 0o600))
		mustDo(t, os.Chown(file, 65534, 65534))
		_, err := ReadEnvFile(file)
		wantErr(t, p.Home, err, "~/env: belongs to uid 65534, not to you (uid 0); iris reads only what you or root own")
	})
}

func FuzzEnvFile(f *testing.F) {
	for _, s := range []string{"", "A=1\nB='2'\nexport C=\"3\\n\"\n# x\n", "A=\x00", "A", "=\"", "A='\n'", "\ufeffA=1\r\n", "A=1\nA=2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := parseEnv("f", data)
		if (err == nil) != (env != nil) {
			t.Fatalf("got both or neither of %v and %v", env, err)
		}
		for name, value := range env {
			if envNameRule(name) != "" || strings.ContainsRune(value, 0) {
				t.Errorf("accepted %q = %q", name, value)
			}
			if !strings.Contains(string(data), name) {
				t.Errorf("%q is not in the file", name)
			}
		}
		if lines := strings.Count(string(data), "\n") + 1; len(env) > lines {
			t.Errorf("%d variables of %d lines", len(env), lines)
		}
	})
}

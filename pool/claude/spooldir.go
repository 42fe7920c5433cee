package claude

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"iris/config/sys"
	"iris/pool/procs"
)

// lockDir takes the lock of the spool directory.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := sys.Lock(d); err != nil {
		d.Close()
		return nil, err
	}
	return func() { d.Close() }, nil
}

// liveOwner returns the process id of a live process with that session; empty if
// there is none.
func liveOwner(dir, session string) (process string, err error) {
	names, err := namesWith(dir, session)
	for _, name := range names {
		if s, process := splitName(name); s == session && isSpool(name) && lockHeld(filepath.Join(dir, name)) {
			return process, nil
		}
	}
	return "", err
}

// namesWith returns the names of few files in a directory: those that contain part are
// among them. There are none if the directory is missing. Each start of an agent reads
// the directory, so that strings are made only where part is seen.
func namesWith(dir, part string) (names []string, err error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	buf := make([]byte, 32<<10)
	err = control(d, func(fd int) error {
		for {
			n, err := unix.ReadDirent(fd, buf)
			switch {
			case err == unix.EINTR:
				continue
			case n <= 0:
				return err
			}
			if bytes.Contains(buf[:n], []byte(part)) {
				_, _, names = unix.ParseDirent(buf[:n], -1, names)
			}
		}
	})
	return names, err
}

// listSpools returns the paths of the spools in a directory; none if the directory is
// missing.
func listSpools(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if isSpool(e.Name()) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

func isSpool(name string) bool { return filepath.Ext(name) == ".out" }

// lockHeld reports whether a process holds the spool's lock, which means that the
// agent lives. If that cannot be checked, the agent counts as alive.
func lockHeld(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return Scarce(err)
	}
	defer f.Close()
	return sys.Locked(f)
}

// Scarce reports whether an error is a lack of descriptors or memory: it says nothing
// about the file, and another try helps.
func Scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// LacksRoom reports whether an error is Scarce or a lack of space on a disk: it says nothing
// about the agent or its message.
func LacksRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) || Scarce(err)
}

// splitName returns the session and process id in a spool's path.
func splitName(path string) (session, process string) {
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	session, process, _ = strings.Cut(name, ".")
	return session, process
}

// findSpool returns the path of the spool of a process; fs.ErrNotExist if there is
// none.
func findSpool(spools, process string) (string, error) {
	paths, err := listSpools(spools)
	for _, path := range paths {
		if _, p := splitName(path); p == process {
			return path, nil
		}
	}
	if err == nil {
		err = &fs.PathError{Op: "read", Path: filepath.Join(spools, "*."+process+".out"), Err: fs.ErrNotExist}
	}
	return "", err
}

// readRecord returns the record beside a spool.
func readRecord(path string) (record, error) {
	var r record
	b, err := os.ReadFile(path[:len(path)-len(filepath.Ext(path))] + ".json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// CleanSpools removes the spools of dead processes, except those that keep accepts.
// The lock of the directory protects a process that is just being started.
func CleanSpools(spools string, keep func(process string) bool) error {
	unlock, err := lockDir(spools)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(spools)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(spools, e.Name())
		out := path[:len(path)-len(filepath.Ext(path))] + ".out"
		_, process := splitName(path)
		if process == "" || lockHeld(out) || keep != nil && keep(process) {
			continue
		}
		if rec, err := readRecord(out); err == nil && rec.Boot == procs.BootID() {
			forgetProcess(rec.Config, procs.ID{PID: rec.PID, Start: rec.Start})
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}

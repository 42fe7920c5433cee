package daemon

import (
	"io"
	"log/slog"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"

	"iris/config"
)

// newLog returns the daemon's log: JSON lines, to stderr under systemd, which keeps and
// rotates them, otherwise to a rotated file with mode 0600. Texts of messages and answers
// are never logged. Close the closer last.
func newLog(path string, cfg *config.Config, stderr io.Writer) (*slog.Logger, *slog.LevelVar, io.Closer) {
	level := new(slog.LevelVar)
	level.Set(logLevel(cfg))
	opts := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		return slog.New(slog.NewJSONHandler(stderr, opts)), level, io.NopCloser(nil)
	}
	w := &lumberjack.Logger{
		Filename:   path,
		MaxSize:    max(1, int(cfg.LogMaxSize>>20)), // MB
		MaxBackups: cfg.LogMaxFiles,
	}
	return slog.New(slog.NewJSONHandler(w, opts)), level, w
}

// logLevel returns the configured level. Package config has checked its name.
func logLevel(cfg *config.Config) (l slog.Level) {
	if err := l.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		panic("bug: " + err.Error())
	}
	return l
}

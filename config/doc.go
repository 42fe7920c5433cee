// Package config knows where iris keeps its files, what the configuration says
// and which teams there are. It starts nothing, talks to nobody and has no goroutine.
//
// # Files
//
// Resolve finds them from the environment:
//
//	$XDG_CONFIG_HOME/iris/config.toml     settings and teams
//	$XDG_CONFIG_HOME/iris/conf.d/*.toml   more teams, one drop-in each
//	$XDG_STATE_HOME/iris/                 daemon.lock, journal, spool/, iris.log
//	$XDG_RUNTIME_DIR/iris/iris.sock       the daemon's socket; without such a
//	                                      directory of ours, /run/user/UID stands
//	                                      for it, else run/ in that of the state
//
// A missing configuration is an empty one. A client finds the daemon with
// Paths.FindSocket: the daemon writes the path of its socket into daemon.lock,
// so that cron, which has no XDG_RUNTIME_DIR, meets the same daemon as a shell.
// Resolve and FindSocket are all that most commands use, and are cheap.
//
// # Loading
//
// Load reads everything, or nothing: it returns a Config whose values are all
// within their ranges, or Problems, one for each mistake in any of the files,
// with file, line and column. Whoever reloads keeps the old Config when Load
// fails. Stamp says cheaply whether there is anything new to load. A value comes from the first of these that has one:
//
//	a flag                  an Override that the caller passes
//	the environment         IRIS_MAX_PROCESSES and so on; empty counts as unset
//	config.toml
//	the default
//
// and for a team from its own table first, then from the top level. Zero is a
// value of its own ("never", "no limit"), never the same as unset.
//
// A directory that is missing is no reason to refuse a configuration, since it
// would take every other team down: Config.Check reports it to people and
// Team.CheckDir to whoever is about to start an agent there.
//
// # Trust
//
// What is configured is run. So files and directories of the configuration
// must belong to the user or to root and must not be writable by anybody else,
// as with ssh; an env_file must not even be readable by others. Names and
// directories hold no control characters and nothing that turns the direction
// of text, so that they can be printed.
//
// # The table of keys
//
// Keys lists every key once with its type, default and meaning. Loading,
// iris-config(5) and Sample are all made from it.
package config

// Package config finds the files of iris, and loads, checks and changes the
// configuration and its teams. It has no goroutine.
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
// Paths.FindSocket: the daemon writes the path of its socket into daemon.lock, so
// that cron, which has no XDG_RUNTIME_DIR, finds the same daemon as a shell. Most
// commands need only Resolve and FindSocket, and both are cheap.
//
// # Loading
//
// Load returns a Config whose values are all within their ranges, or else Problems:
// one for each mistake in any of the files, with file, line and column. If a reload
// fails, the old Config stays in use. Stamp says cheaply whether the files have
// changed. A value comes from the first of these that has one:
//
//	a flag                  an Override that the caller passes
//	the environment         IRIS_MAX_PROCESSES and so on; empty counts as unset
//	config.toml
//	the default
//
// For a team, its own table comes first, then the top level. Zero is a value
// ("never", "no limit"), different from unset.
//
// A missing directory is no reason to refuse a configuration, since all other teams
// would stop too: Config.Check reports it to people, and Team.CheckDir before an
// agent starts there.
//
// # Changing
//
// AddTeam, RemoveTeam, RenameTeam and Set change one file. They first load the whole
// configuration with the change, and write nothing if it has a problem, or for Set
// one more problem of Check. Set and RenameTeam change the text in single places
// (text.go), so that comments stay. Changes says in words what differs between two
// configurations.
//
// # Trust
//
// The configuration names programs to run. So its files and directories must belong
// to the user or to root and must not be writable by anybody else, as with ssh; a group
// that is the user's alone does not count (owner.go). Others must not even be able to
// read an env_file. Names and directories contain no control characters and no
// characters that change the direction of text, so that they can be printed.
//
// # The table of keys
//
// Keys lists every key once with its type, default and meaning. Loading,
// iris-config(5) and Sample are all made from it.
package config

package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Changes lists in words what differs between two configurations, for people: first
// the top level, then each team. Settings that a team takes from the top level are
// not listed again. Of variables there are no values, since they may be secrets.
func Changes(old, now *Config) []string {
	var all []string
	for i := range keys {
		k := &keys[i]
		if k.where != team && !equal(old, now, k.name) {
			all = append(all, k.name+k.change(old, now))
		}
	}
	byTeam := map[string][]string{}
	for name, t := range old.Teams {
		if after := now.Teams[name]; after == nil {
			byTeam[name] = []string{"team " + name + " removed"}
		} else if t.differs(after) {
			byTeam[name] = t.changes(after)
		}
	}
	for name := range now.Teams {
		if old.Teams[name] == nil {
			byTeam[name] = []string{"team " + name + " added"}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byTeam)) {
		all = append(all, byTeam[name]...)
	}
	return all
}

// differs reports whether a setting of the team's own may have changed. Of many teams few
// have.
func (t *Team) differs(now *Team) bool {
	if len(t.origin) != len(now.origin) {
		return true
	}
	for _, s := range t.origin {
		if _, ok := now.origin.of(s.key); !ok || s.key != "" && !equal(t, now, s.key) {
			return true
		}
	}
	return false
}

func (t *Team) changes(now *Team) (all []string) {
	for i := range keys {
		k := &keys[i]
		_, before := t.origin.of(k.name)
		_, after := now.origin.of(k.name)
		if (before || after) && !equal(t, now, k.name) {
			all = append(all, t.settingName(k)+k.change(t, now))
		}
	}
	return all
}

// settingName is the name of a team's own key among all settings.
func (t *Team) settingName(k *key) string { return "teams." + tomlKey(t.Name) + "." + k.name }

// equal compares a key of two Configs or two Teams.
func equal(a, b any, key string) bool {
	return reflect.DeepEqual(field(a, key).Interface(), field(b, key).Interface())
}

// change says how a value has changed.
func (k *key) change(old, now any) string {
	if k.kind == kindEnv {
		return " changed"
	}
	return fmt.Sprintf(" = %s (was %s)", k.format(field(now, k.name).Interface()), k.format(field(old, k.name).Interface()))
}

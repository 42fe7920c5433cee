package config

import (
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// readPart reads a part of a whole, such as 0.8.
func (k *key) readPart(v *value) (any, string) {
	f, err := strconv.ParseFloat(strings.ReplaceAll(v.raw, "_", ""), 64)
	number := v.kind == unstable.Float || v.kind == unstable.Integer
	if !number || err != nil || !(f >= 0.01 && f <= 1) {
		return nil, "must be a " + k.describe() + ", such as " + k.def + ", without quotes"
	}
	return f, ""
}

package config

import (
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"
)

// A file that the tree takes for TOML is not decoded.
func TestTheTreeFindsMistakesAsTheDecoderDoes(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", `"a"`})
	key := rapid.Custom(func(rt *rapid.T) string {
		return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(rt, "parts"), ".")
	})
	value := rapid.SampledFrom([]string{
		"1", "'x'", "true", "[]", "[[1], 'x']", "{}", "{a = 1}", "{a.b = 1, b = {a = 1}}", "{a.b = 1, a.a = 2}", "{a = 1, a.b = 2}", "[{a = 1, a = 2}]",
		"1.5", "1979-05-27", "1979-02-30", "07:32:61", "0x_1", "1__2",
	})
	line := rapid.Custom(func(rt *rapid.T) string {
		switch k := key.Draw(rt, "key"); rapid.IntRange(0, 9).Draw(rt, "kind") {
		case 0:
			return "[[" + k + "]]"
		case 1, 2, 3, 4:
			return "[" + k + "]"
		default:
			return k + " = " + value.Draw(rt, "value")
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		data := []byte(strings.Join(rapid.SliceOfN(line, 1, 6).Draw(rt, "lines"), "\n"))
		_, _, problems := parseTOML("f", data)
		var into map[string]any
		if err := toml.Unmarshal(data, &into); (err == nil) != (len(problems) == 0) {
			rt.Errorf("the tree has %v, the decoder %v", problems, err)
		}
	})
}

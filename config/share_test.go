package config

import "testing"

func TestShareOfMemory(t *testing.T) {
	for _, test := range []struct {
		text  string
		total int64
		want  int64
		shown string
	}{
		{`"75%"`, 1000, 750, `"75%"`},
		{`"75%"`, 0, 0, `"75%"`},
		{`"100%"`, 1 << 40, 1 << 40 / 100 * 100, `"100%"`},
		{`"8GiB"`, 1000, 8 << 30, `"8GiB"`},
		{`"0"`, 1000, 0, `"0"`},
		{`0`, 1000, 0, `"0"`},
	} {
		p := newHome(t)
		mustWrite(t, p.Config, "max_memory_total = "+test.text+"\n")
		cfg, err := Load(p)
		mustDo(t, err)
		if got := cfg.MaxMemoryTotal.Of(test.total); got != test.want {
			t.Errorf("%s of %d is %d, want %d", test.text, test.total, got, test.want)
		}
		if got := keyNamed("max_memory_total").format(cfg.MaxMemoryTotal); got != test.shown {
			t.Errorf("%s is shown as %s", test.text, got)
		}
	}
}

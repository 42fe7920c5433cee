package config

import (
	"strings"
	"testing"
)

func TestPart(t *testing.T) {
	const rule = "must be a number from 0.01 to 1, such as 0.8, without quotes"
	for text, want := range map[string]float64{"0.85": 0.85, "1": 1, "1.0": 1, "1_0e-1": 1, "0.01": 0.01, "0": 0, "1.1": 0, "nan": 0, "-inf": 0, `"80%"`: 0, `"0.8"`: 0, "true": 0} {
		p := newHome(t)
		mustWrite(t, p.Config, "spare_below = "+text+"\n")
		cfg, err := Load(p)
		switch {
		case want == 0 && (err == nil || !strings.Contains(err.Error(), ":1:") || !strings.Contains(err.Error(), rule)):
			t.Errorf("%s: %v", text, err)
		case want != 0 && (err != nil || cfg.SpareBelow != want):
			t.Errorf("%s: got %v, want %g", text, err, want)
		}
	}
	p := newHome(t)
	t.Setenv("IRIS_SPARE_BELOW", "0.5")
	if cfg, err := Load(p); err != nil || cfg.SpareBelow != 0.5 {
		t.Errorf("from the environment: %v", err)
	}
}

package ipc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fillIn sets everything in v, so that a field which was forgotten shows.
func fillIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a \"b\" \u00fc\n\U0001F600")
	case reflect.Int, reflect.Int64:
		v.SetInt(-1 << 40)
	case reflect.Float64:
		v.SetFloat(1.5e-7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`"raw\n"`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillIn(v.Index(0))
		fillIn(v.Index(1))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 14, 5, 6, 789, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fillIn(v.Field(i))
		}
	default:
		panic("what is a " + v.Type().String())
	}
}

func TestRecordsAreReadAsEncodingJSONWould(t *testing.T) {
	for _, fresh := range []func() Parser{
		func() Parser { return new(ProcessList) },
		func() Parser { return new(MessageState) },
		func() Parser { return new(Reply) },
		func() Parser { return new(Status) },
	} {
		full := fresh()
		fillIn(reflect.ValueOf(full).Elem())
		for _, v := range []any{full, fresh()} {
			if r, ok := v.(*Reply); ok && r.Text == nil {
				r.Text = json.RawMessage(`""`)
			}
			data, err := json.Marshal(v)
			must(t, err)
			data = append([]byte(` {"unknown":[{"id":1},null],`), data[1:]...)
			got, want := fresh(), fresh()
			must(t, got.ParseJSON(data))
			must(t, json.Unmarshal(data, want))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\ngot  %+v\nwant %+v", data, got, want)
			}
		}
	}
}

func TestBadRecordsAreRefused(t *testing.T) {
	for _, data := range []string{
		``, `null`, `[]`, `{"id":1}`, `{"id":"a"`, `{"id":"a"}}`, `{"processes":{}}`, `{"processes":[1]}`, `{"processes":[{"pid":"x"}]}`,
		`{"processes":[{"pid":1.5}]}`, `{"processes":[{"started":"x"}]}`, `{"total_processes":"x"}`, `{"text":1}`, `{"usage":[]}`,
	} {
		var l ProcessList
		var m MessageState
		var r Reply
		if l.ParseJSON([]byte(data)) == nil && m.ParseJSON([]byte(data)) == nil && r.ParseJSON([]byte(data)) == nil {
			t.Errorf("%s: taken by all", data)
		}
	}
}

func TestSendIsWrittenAsEncodingJSONWould(t *testing.T) {
	type plain Send
	full := Send{}
	fillIn(reflect.ValueOf(&full).Elem())
	for _, m := range []Send{{}, full, {Team: "a", Text: strings.Repeat("x", 100_000), EnvKeys: []string{"K"}}} {
		got, err := m.AppendJSON(nil)
		must(t, err)
		var back plain
		must(t, json.Unmarshal(got, &back))
		if !reflect.DeepEqual(Send(back), m) {
			t.Errorf("got %+v, want %+v", back, m)
		}
	}
}

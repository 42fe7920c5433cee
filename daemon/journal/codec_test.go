package journal

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

func drawMessage(t *rapid.T) *Message {
	word := rapid.SampledFrom([]string{"", "a", "é\x00", "{", "longer text", "6f1c2a3e-1111-4222-8333-944455566677", "6F1C2A3E-1111-4222-8333-944455566677", "sixteen letters!"})
	moment := func() time.Time { return at(rapid.IntRange(0, 1<<30).Draw(t, "time")).Local() }
	content := func() Content {
		c := describe([]byte(word.Draw(t, "content")))
		if rapid.Bool().Draw(t, "in a file") {
			c.File, c.Inline = "name", nil
		}
		if len(c.Inline) == 0 {
			c.Inline = nil
		}
		return c
	}
	m := &Message{
		ID: messageID(1), Seq: rapid.Uint64().Draw(t, "seq") >> 1, Team: word.Draw(t, "team"), Session: word.Draw(t, "session"),
		State: rapid.SampledFrom(states).Draw(t, "state"), Body: content(),
		Outcome: word.Draw(t, "outcome"), Error: word.Draw(t, "error"), CostUSD: rapid.Float64().Draw(t, "cost"),
		Usage: turn.Usage{Input: rapid.Int64().Draw(t, "input"), CacheWrite: 7},
	}
	if rapid.Bool().Draw(t, "options") {
		m.Options = Options{Key: word.Draw(t, "key"), Variant: &turn.Variant{Model: "m"}}
	}
	if rapid.Bool().Draw(t, "result") {
		m.Result = content()
	}
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		m.History = append(m.History, Change{
			State: rapid.SampledFrom(states).Draw(t, "step"), At: moment(),
			By: word.Draw(t, "by"), Note: word.Draw(t, "note"), Request: word.Draw(t, "request"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "attempts") {
		m.Attempts = append(m.Attempts, Attempt{
			Process: word.Draw(t, "process"), Offset: rapid.Int64().Draw(t, "offset"), UUID: word.Draw(t, "uuid"),
			NoWait: rapid.Bool().Draw(t, "no wait"), Boot: word.Draw(t, "boot"), At: moment(),
		})
	}
	return m
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawMessage(t)
		b, err := encodeMessage(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeMessage(want.ID, b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
}

// A later version may add fields: this one passes over them.
func TestFieldsThatAreNotKnownArePassedOver(t *testing.T) {
	m := &Message{ID: "m1", State: Queued, Team: "api", Seq: 1, Body: describe(nil), History: []Change{{State: Queued, At: at(1)}}}
	b := must1(encodeMessage(m))(t)
	more := fields(b)
	more.number(60, -5)
	more.text(61, "new")
	if got, err := decodeMessage("m1", more); err != nil || got.Seq != 1 || len(got.History) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A field that is cut short is never taken for a shorter or an empty one.
func TestFieldThatIsCutIsDamage(t *testing.T) {
	var number, text fields
	number.number(100, 1<<40)
	text.text(100, "some text")
	for _, whole := range []fields{number, text} {
		for n := 1; n < len(whole); n++ {
			r := read(whole[:n])
			for r.next() {
			}
			if r.err == nil {
				t.Errorf("%d of the %d bytes of %q are read as a whole field", n, len(whole), []byte(whole))
			}
		}
	}
}

// A part that cannot be read is damage of the whole message, and not left out.
func TestBrokenPartIsDamage(t *testing.T) {
	m := &Message{ID: "m1", State: Queued, Team: "api", Seq: 1, Body: describe(nil), History: []Change{{State: Queued, At: at(1)}}}
	whole := must1(encodeMessage(m))(t)
	var attempt fields
	attempt.text(7, "no UUID")
	for name, part := range map[string]struct {
		field int
		b     fields
	}{
		"options": {2, fields("{")}, "history": {3, fields{0xff}}, "attempts": {4, fields{0xff}}, "body": {5, fields{0xff}},
		"result": {6, fields{0xff}}, "usage": {10, fields{0xff}}, "a UUID": {4, attempt},
	} {
		f := fields(slices.Clone(whole))
		f.group(part.field, part.b)
		if got, err := decodeMessage("m1", f); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// record4 is a record of version 4, in hex: later versions of iris read it as it was meant.
const record4 = "641898b5d9ef714a001898b5da66a6de00036170690173020e050b7b226b6579223a226b227d070d02e2010480a88af7bdf6da9831071302e4010480d0e0b0c5f6da983107016209016e07" +
	"1002c8010480f8b6eaccf6da98310b01720935030170040a0f106f1c2a3e111142228333944455566677080211106f1c2a3e1111422283339444555666770c80d0e0b0c5f6da9831091303" +
	"01710701750b01620c80d0e0b0c5f6da98310b2a02080520982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d10704746578740d380212052090b12ff5d6fd56" +
	"9df4b1836d7823dded64a5c13f5002bd4ec632be8a75d0dee309126d312e726573756c742e41414141414141410f07737563636573731101651280808080808080d07f1508020204040606" +
	"0808"

func TestRecordOfVersion4IsRead(t *testing.T) {
	const uuid = "6f1c2a3e-1111-4222-8333-944455566677"
	body, result := describe([]byte("text")), describe([]byte("{}\nanswer"))
	result.File, result.Inline = "m1.result.AAAAAAAA", nil
	want := &Message{
		ID: "m1", Seq: 7, Team: "api", Session: "s", State: Done, Options: Options{Key: "k"},
		History:  []Change{{State: Queued, At: at(1)}, {State: Running, At: at(2), By: "b", Note: "n"}, {State: Done, At: at(3), Request: "r"}},
		Attempts: []Attempt{{Process: "p", Offset: 5, UUID: uuid, NoWait: true, Boot: uuid, At: at(2)}, {Process: "q", UUID: "u", Boot: "b", At: at(2)}},
		Body:     body, Result: result, Outcome: "success", Error: "e", CostUSD: 0.25,
		Usage: turn.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4},
	}
	record := must1(hex.DecodeString(record4))(t)
	got := must1(decodeMessage("m1", record))(t)
	for i := range got.History {
		got.History[i].At = got.History[i].At.UTC()
	}
	for i := range got.Attempts {
		got.Attempts[i].At = got.Attempts[i].At.UTC()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if b := must1(encodeMessage(want))(t); !bytes.Equal(b, record) {
		t.Errorf("it is written as %x", b)
	}
}

const tally4 = "020404f4030708020204040606080808060afa010d08020a040c060e08100f026d3111026d33"

func TestTallyOfVersion4IsRead(t *testing.T) {
	k := daily.key(at(0), "api", "s")
	want := tally{
		from: at(0).Truncate(24 * time.Hour), team: "api", session: "s", first: "m1", last: "m3",
		amounts: amounts{
			messages: 2, cost: 250, usage: turn.Usage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4},
			turns: 3, ownCost: 125, own: turn.Usage{Input: 5, Output: 6, CacheRead: 7, CacheWrite: 8},
		},
	}
	record := must1(hex.DecodeString(tally4))(t)
	got := must1(openTally(k, record))(t)
	if got.from = got.from.UTC(); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if b := want.fields(); !bytes.Equal(b, record) {
		t.Errorf("it is written as %x", []byte(b))
	}
}

// FuzzDecodeMessage reads what nobody has written: there is an error or a message, never a panic.
func FuzzDecodeMessage(f *testing.F) {
	m := &Message{ID: "m1", State: Done, Team: "api", Seq: 1, Body: describe([]byte("b")), History: []Change{{State: Done, At: at(1)}}}
	b := must1(encodeMessage(m))(f)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(append(b, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage("m1", b); err == nil && len(m.History) == 0 {
			t.Error("a message without its acceptance")
		}
	})
}

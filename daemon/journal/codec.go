package journal

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"iris/pool/turn"
)

var errCoding = errors.New("its fields cannot be read")

// fields is an encoded value: fields one after another, each a number that never gets
// another meaning, and either an integer or bytes. A zero field is left out. A reader
// passes over numbers that it does not know.
type fields []byte

func (f *fields) number(field int, n int64) {
	if n != 0 {
		*f = binary.AppendVarint(binary.AppendUvarint(*f, uint64(field)<<1), n)
	}
}

func (f *fields) bytes(field int, b []byte) {
	if len(b) > 0 {
		f.group(field, b)
	}
}

func (f *fields) text(field int, s string) { f.bytes(field, []byte(s)) }

// uuid adds a UUID as its 16 bytes, or any other text as it is.
func (f *fields) uuid(text, packed int, s string) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err == nil && len(b) == 16 && uuidOf(b) == s {
		f.bytes(packed, b)
		return
	}
	f.text(text, s)
}

func uuidOf(b []byte) string {
	var s [36]byte
	at := 0
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			s[at] = '-'
			at++
		}
		at += hex.Encode(s[at:], part)
	}
	return string(s[:])
}

func (f *fields) time(field int, t time.Time) {
	if !t.IsZero() {
		f.number(field, t.UnixNano())
	}
}

// group adds fields as one field, even if there are none.
func (f *fields) group(field int, g fields) {
	*f = binary.AppendUvarint(binary.AppendUvarint(*f, uint64(field)<<1|1), uint64(len(g)))
	*f = append(*f, g...)
}

// A reader reads fields one after another: call next, then use field and its value.
type reader struct {
	rest  []byte
	field int
	n     int64
	b     []byte // aliases the value
	err   error
}

func read(b []byte) *reader { return &reader{rest: b} }

func (r *reader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	tag, w := binary.Uvarint(r.rest)
	if w <= 0 {
		r.err = errCoding
		return false
	}
	r.field, r.rest = int(tag>>1), r.rest[w:]
	if tag&1 == 0 {
		r.n, w = binary.Varint(r.rest)
		if w <= 0 {
			r.err = errCoding
			return false
		}
		r.rest = r.rest[w:]
		return true
	}
	size, w := binary.Uvarint(r.rest)
	if w <= 0 || size > uint64(len(r.rest)-w) {
		r.err = errCoding
		return false
	}
	r.b, r.rest = r.rest[w:w+int(size)], r.rest[w+int(size):]
	return true
}

func (r *reader) time() time.Time { return time.Unix(0, r.n) }

func (r *reader) uuid() string {
	if len(r.b) != 16 {
		r.fail(errCoding)
		return ""
	}
	return uuidOf(r.b)
}

// fail keeps the error of a part.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func encodeFields(m *Message) (fields, error) {
	var f fields
	f.number(1, int64(m.Seq))
	if m.Options != (Options{}) {
		b, err := json.Marshal(m.Options)
		if err != nil {
			return nil, err
		}
		f.bytes(2, b)
	}
	for i := range m.History {
		f.group(3, m.History[i].fields())
	}
	for i := range m.Attempts {
		f.group(4, m.Attempts[i].fields())
	}
	f.group(5, m.Body.fields())
	if m.Result.Sum != "" {
		f.group(6, m.Result.fields())
	}
	f.text(7, m.Outcome)
	f.text(8, m.Error)
	f.number(9, int64(math.Float64bits(m.CostUSD)))
	f.bytes(10, usageFields(m.Usage))
	return f, nil
}

// readFields reads what encodeFields has written; the inline contents only if wanted.
func (m *Message) readFields(b []byte, inline bool) error {
	r := read(b)
	for r.next() {
		switch r.field {
		case 1:
			m.Seq = uint64(r.n)
		case 2:
			r.fail(json.Unmarshal(r.b, &m.Options))
		case 3:
			m.History = append(m.History, readChange(r))
		case 4:
			m.Attempts = append(m.Attempts, readAttempt(r))
		case 5:
			m.Body = readContent(r, inline)
		case 6:
			m.Result = readContent(r, inline)
		case 7:
			m.Outcome = string(r.b)
		case 8:
			m.Error = string(r.b)
		case 9:
			m.CostUSD = math.Float64frombits(uint64(r.n))
		case 10:
			m.Usage = readUsage(r)
		}
	}
	return r.err
}

func (c *Change) fields() (f fields) {
	f.number(1, int64(c.State.code()))
	f.time(2, c.At)
	f.text(3, c.By)
	f.text(4, c.Note)
	f.text(5, c.Request)
	return f
}

func readChange(of *reader) (c Change) {
	r := read(of.b)
	for r.next() {
		switch r.field {
		case 1:
			c.State = stateOf(byte(r.n))
		case 2:
			c.At = r.time()
		case 3:
			c.By = string(r.b)
		case 4:
			c.Note = string(r.b)
		case 5:
			c.Request = string(r.b)
		}
	}
	of.fail(r.err)
	return c
}

func (a *Attempt) fields() (f fields) {
	f.text(1, a.Process)
	f.number(2, a.Offset)
	f.uuid(3, 7, a.UUID)
	if a.NoWait {
		f.number(4, 1)
	}
	f.uuid(5, 8, a.Boot)
	f.time(6, a.At)
	return f
}

func readAttempt(of *reader) (a Attempt) {
	r := read(of.b)
	for r.next() {
		switch r.field {
		case 1:
			a.Process = string(r.b)
		case 2:
			a.Offset = r.n
		case 3:
			a.UUID = string(r.b)
		case 4:
			a.NoWait = r.n != 0
		case 5:
			a.Boot = string(r.b)
		case 6:
			a.At = r.time()
		case 7:
			a.UUID = r.uuid()
		case 8:
			a.Boot = r.uuid()
		}
	}
	of.fail(r.err)
	return a
}

func (c *Content) fields() (f fields) {
	f.number(1, c.Size)
	sum, _ := hex.DecodeString(c.Sum) // describe has made it
	f.bytes(2, sum)
	f.bytes(3, c.Inline)
	f.text(4, c.File)
	return f
}

func readContent(of *reader, inline bool) (c Content) {
	r := read(of.b)
	for r.next() {
		switch r.field {
		case 1:
			c.Size = r.n
		case 2:
			c.Sum = hex.EncodeToString(r.b)
		case 3:
			if inline {
				c.Inline = append([]byte(nil), r.b...)
			}
		case 4:
			c.File = string(r.b)
		}
	}
	of.fail(r.err)
	return c
}

func usageFields(u turn.Usage) (f fields) {
	f.number(1, u.Input)
	f.number(2, u.Output)
	f.number(3, u.CacheRead)
	f.number(4, u.CacheWrite)
	return f
}

func readUsage(of *reader) (u turn.Usage) {
	r := read(of.b)
	for r.next() {
		switch r.field {
		case 1:
			u.Input = r.n
		case 2:
			u.Output = r.n
		case 3:
			u.CacheRead = r.n
		case 4:
			u.CacheWrite = r.n
		}
	}
	of.fail(r.err)
	return u
}

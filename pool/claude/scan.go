package claude

import (
	"bytes"
	"encoding/json"
	"errors"
)

// A line of an agent may have many megabytes, and most lines need only their type,
// which stands first. A line that is acted on is decoded as a whole.

// route returns the type and subtype of a line. It reads only as far as needed; false
// means that the line is no JSON object so far.
func route(line []byte) (typ, subtype string, ok bool) {
	err := members(line, func(key string, val json.RawMessage) bool {
		switch key {
		case "type":
			decode(val, &typ)
		case "subtype":
			decode(val, &subtype)
		}
		return typ == "" || subtype == "" && (typ == "system" || typ == "result")
	})
	return typ, subtype, err == nil && typ != ""
}

// members calls f with each member of an object, in order, until f returns false, and
// reads no further. The error is about the part that it has read.
func members(object []byte, f func(key string, val json.RawMessage) bool) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(errors.New("no JSON object"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var val json.RawMessage
		if err := d.Decode(&val); err != nil {
			return err
		}
		if !f(key.(string), val) {
			return nil
		}
	}
	_, err := d.Token()
	return err
}

// decode is json.Unmarshal for values that may have another shape in a later version
// of the program: a member that does not fit is left unchanged.
func decode(val []byte, into any) { _ = json.Unmarshal(val, into) }

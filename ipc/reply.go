package ipc

import (
	"encoding/json"
	"fmt"
)

// AppendJSON appends the reply. The text is appended as it is: encoding/json
// would read through its many megabytes again to see whether they are JSON.
func (r Reply) AppendJSON(dst []byte) ([]byte, error) {
	type plain Reply
	rest := struct {
		*plain
		Text *struct{} `json:"text,omitempty"` // hides the other
	}{plain: (*plain)(&r)}
	dst, err := appendValue(dst, rest)
	if err != nil {
		return dst, err
	}
	dst = append(dst[:len(dst)-1], `,"text":`...)
	if len(r.Text) == 0 {
		return append(dst, `""}`...), nil
	}
	dst, err = appendRaw(dst, r.Text)
	return append(dst, '}'), err
}

// ParseJSON reads a reply; its Text is a part of data, not a copy.
func (r *Reply) ParseJSON(data []byte) error {
	var text json.RawMessage
	rest := []byte{'{'}
	s := scanner{data: data, max: MaxAnswerDepth}
	s.space()
	err := s.finish(s.object(func(name, value []byte) {
		if string(name) == `"text"` {
			text = value
			return
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(append(append(rest, name...), ':'), value...)
	}))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(append(rest, '}'), r); err != nil {
		return err
	}
	if text != nil && !isString(text) {
		return fmt.Errorf("text is not a string")
	}
	r.Text = text
	return nil
}

package ipc

import "errors"

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
	if err := parseRecord(data, r); err != nil {
		return err
	}
	if r.Text != nil && !isString(r.Text) {
		return errors.New("text is not a string")
	}
	return nil
}

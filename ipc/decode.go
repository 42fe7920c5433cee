package ipc

import (
	"encoding/json"
	"strconv"
	"time"
)

// encoding/json looks at a type before it decodes the first value of it, and
// most commands decode one: a twentieth of what iris ps takes. What the common
// commands get is therefore decoded here, member by member.

// A record tells where its members are; nil for one that it has not.
type record interface{ member(name string) any }

// parseRecord decodes an object into r. Members that r has not are passed over:
// another version may have more.
func parseRecord(data []byte, r record) error {
	var bad error
	s := scanner{data: data, max: MaxAnswerDepth}
	s.space()
	err := s.finish(s.object(func(name, value []byte) {
		if dst := r.member(unquote(name)); dst != nil && bad == nil {
			bad = setMember(dst, value)
		}
	}))
	if err != nil {
		return err
	}
	return bad
}

// setMember decodes a value, which the scanner has passed. What it does not know
// or does not understand is left to encoding/json, and so is the error.
func setMember(dst any, value []byte) error {
	var err error
	switch dst := dst.(type) {
	case *string:
		if isString(value) {
			*dst = unquote(value)
			return nil
		}
	case *int:
		if *dst, err = strconv.Atoi(string(value)); err == nil {
			return nil
		}
	case *int64:
		if *dst, err = strconv.ParseInt(string(value), 10, 64); err == nil {
			return nil
		}
	case *float64:
		if *dst, err = strconv.ParseFloat(string(value), 64); err == nil {
			return nil
		}
	case *bool:
		if *dst, err = strconv.ParseBool(string(value)); err == nil {
			return nil
		}
	case **int64:
		if string(value) != "null" {
			*dst = new(int64)
			return setMember(*dst, value)
		}
	case *time.Time:
		return dst.UnmarshalJSON(value)
	case **time.Time:
		if string(value) != "null" {
			*dst = new(time.Time)
			return (*dst).UnmarshalJSON(value)
		}
	case *json.RawMessage:
		*dst = value
		return nil
	case record:
		return parseRecord(value, dst)
	case *[]Process:
		if value[0] == '[' {
			return parseList(value, dst)
		}
	}
	return json.Unmarshal(value, dst)
}

// parseList decodes an array of processes.
func parseList(data []byte, list *[]Process) error {
	var bad error
	s := scanner{data: data, max: MaxAnswerDepth}
	err := s.finish(s.array(func(value []byte) {
		var p Process
		if err := parseRecord(value, &p); err != nil && bad == nil {
			bad = err
		}
		*list = append(*list, p)
	}))
	if err != nil {
		return err
	}
	return bad
}

// ParseJSON reads the list.
func (l *ProcessList) ParseJSON(data []byte) error { return parseRecord(data, l) }

func (l *ProcessList) member(name string) any {
	switch name {
	case "processes":
		return &l.Processes
	case "total_processes":
		return &l.Total
	case "max_processes":
		return &l.Max
	case "queued":
		return &l.Queued
	}
	return nil
}

func (p *Process) member(name string) any {
	switch name {
	case "id":
		return &p.ID
	case "pid":
		return &p.PID
	case "team":
		return &p.Team
	case "session":
		return &p.Session
	case "session_id":
		return &p.SessionID
	case "state":
		return &p.State
	case "message":
		return &p.Message
	case "messages_processed":
		return &p.Messages
	case "queue_length":
		return &p.Queue
	case "started":
		return &p.Started
	case "last_used":
		return &p.LastUsed
	case "turn_since":
		return &p.TurnSince
	case "until":
		return &p.Until
	case "idle_remaining_ms":
		return &p.Idle
	case "uptime_ms":
		return &p.Uptime
	case "memory_bytes":
		return &p.Memory
	case "why":
		return &p.Why
	case "dir":
		return &p.Dir
	case "approvals":
		return &p.Approvals
	case "bypass":
		return &p.Bypass
	}
	return nil
}

// ParseJSON reads the state.
func (m *MessageState) ParseJSON(data []byte) error { return parseRecord(data, m) }

func (m *MessageState) member(name string) any {
	switch name {
	case "id":
		return &m.ID
	case "state":
		return &m.State
	case "position":
		return &m.Position
	case "waits_for":
		return &m.WaitsFor
	case "process":
		return &m.Process
	case "existing":
		return &m.Existing
	case "instead_of":
		return &m.InsteadOf
	}
	return nil
}

func (r *Reply) member(name string) any {
	switch name {
	case "id":
		return &r.ID
	case "team":
		return &r.Team
	case "session":
		return &r.Session
	case "session_id":
		return &r.SessionID
	case "outcome":
		return &r.Outcome
	case "text":
		return &r.Text
	case "error":
		return &r.Error
	case "hint":
		return &r.Hint
	case "notice":
		return &r.Notice
	case "subtype":
		return &r.Subtype
	case "api_status":
		return &r.APIStatus
	case "turns":
		return &r.Turns
	case "cost_usd":
		return &r.CostUSD
	case "duration_ms":
		return &r.Duration
	case "usage":
		return &r.Usage
	case "denials":
		return &r.Denials
	case "model":
		return &r.Model
	case "resets":
		return &r.Resets
	case "background":
		return &r.Background
	case "reason":
		return &r.Reason
	}
	return nil
}

func (u *Usage) member(name string) any {
	switch name {
	case "input_tokens":
		return &u.Input
	case "output_tokens":
		return &u.Output
	case "cache_read_tokens":
		return &u.CacheRead
	case "cache_write_tokens":
		return &u.CacheWrite
	}
	return nil
}

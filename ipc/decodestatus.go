package ipc

// ParseJSON reads the status.
func (s *Status) ParseJSON(data []byte) error { return parseRecord(data, s) }

func (s *Status) member(name string) any {
	switch name {
	case "pid":
		return &s.PID
	case "version":
		return &s.Version
	case "protocol":
		return &s.Protocol
	case "socket":
		return &s.Socket
	case "since":
		return &s.Since
	case "uptime_ms":
		return &s.Uptime
	case "config":
		return &s.Config
	case "config_error":
		return &s.ConfigError
	case "log":
		return &s.Log
	case "total_processes":
		return &s.Total
	case "max_processes":
		return &s.Max
	case "busy":
		return &s.Busy
	case "queued":
		return &s.Queued
	case "messages_processed":
		return &s.Messages
	case "cost_usd":
		return &s.CostUSD
	case "clients":
		return &s.Clients
	case "generation":
		return &s.Generation
	case "journal":
		return &s.Journal
	case "stopping":
		return &s.Stopping
	case "broken":
		return &s.Broken
	case "warnings":
		return &s.Warnings
	}
	return nil
}

func (j *Journal) member(name string) any {
	switch name {
	case "path":
		return &j.Path
	case "bytes":
		return &j.Bytes
	case "messages":
		return &j.Messages
	case "queued":
		return &j.Queued
	case "running":
		return &j.Running
	case "unknown":
		return &j.Unknown
	case "error":
		return &j.Error
	}
	return nil
}

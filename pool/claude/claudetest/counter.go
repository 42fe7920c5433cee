package claudetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// Counter is an MCP server on the standard streams, whose one tool, next, counts its calls.
// It returns when its input ends.
func Counter() {
	calls := 0
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ ProtocolVersion string }
		}
		json.Unmarshal(in.Bytes(), &m)
		var result string
		switch m.Method {
		case "initialize":
			result = fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{"tools":{}},"serverInfo":{"name":"counter","version":"1"}}`, m.Params.ProtocolVersion)
		case "tools/list":
			result = `{"tools":[{"name":"next","description":"counts","inputSchema":{"type":"object"}}]}`
		case "tools/call":
			calls++
			result = fmt.Sprintf(`{"content":[{"type":"text","text":"%d"}]}`, calls)
		}
		if result != "" {
			fmt.Printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n", m.ID, result)
		}
	}
}

// Package ipc is the protocol between the commands of iris and its daemon: JSON-RPC
// 2.0 over a Unix socket, one message a line.
//
// It knows the wire format, the limits and who may connect. It does not know what the
// methods do: the daemon registers them, and their names and types are in
// protocol.go. Verbs has a method for each of them, and Handlers has a function for
// each notification: a Go program needs no other names. The package imports the
// standard library and x/sys, and does nothing at start-up, because every command
// pays for what it links.
//
// # The wire
//
// A message is a JSON object on a line of its own. A call has an id, which the
// answer repeats byte for byte; a notification has none and no answer:
//
//	--> {"jsonrpc":"2.0","id":1,"method":"message.send","params":{"team":"api","text":"fix it"}}
//	<-- {"jsonrpc":"2.0","method":"message.state","params":{"id":"m7","state":"running"}}
//	<-- {"jsonrpc":"2.0","id":1,"result":{"id":"m7","team":"api",...,"text":"done"}}
//
//	--> {"jsonrpc":"2.0","id":2,"method":"process.kill","params":{"team":"nope"}}
//	<-- {"jsonrpc":"2.0","id":2,"error":{"code":4,"message":"no team \"nope\""}}
//
// No client is needed to try it:
//
//	$ echo '{"jsonrpc":"2.0","id":1,"method":"status"}' | socat - UNIX-CONNECT:$XDG_RUNTIME_DIR/iris/iris.sock
//	{"jsonrpc":"2.0","id":1,"result":{"pid":4711,"version":"1.2.0",...}}
//
// A long call needs a patient socat (-t 600): socat closes its sending half at the
// end of its input, and the daemon still sends its answers. (On Linux. On other
// systems the daemon takes such a client for gone.)
//
// Blank lines, CRLF and a missing line feed at the very end are accepted.
//
// # What is refused
//
// A line that is not JSON is answered with -32700, and a line that is no proper
// request with -32600. The answer has the id that was found, or null, and the
// connection goes on at the next line. An unknown member is refused, and an unknown
// member of the params with -32602 and its name. The case of a member's name does not
// matter: "Method" means "method". If a member occurs twice, the last one counts.
// There are no batches: several calls go on several lines, and are answered as they
// finish. Params are an object; null means none. The id of a call in flight cannot be
// used for another call; the error has the id null. A message nests at most 64
// levels.
//
// An error that ends the connection has the id null and comes before the end. Its
// causes are a line over the limit, a line that is not complete 30 s after its first
// byte, and too many clients.
//
// # Who may connect
//
// The kernel names the process at the other end. The server closes a connection of
// another uid before it reads a byte, and Dial refuses a daemon of another uid before
// it writes a byte; root is another uid too. The socket has mode 0600 in a directory
// of mode 0700, and neither may be a symbolic link: Listen and Check refuse anything
// else, and say what it is.
//
// # Versions
//
// A client's first message is hello, with the protocol that it speaks. The client
// does not wait for the answer: hello and the first call go out in one write. If the
// protocols differ, hello and everything after it on that connection get the same
// error, which names both versions. A person may leave hello out.
//
// # Contexts
//
// JSON-RPC has no cancel. One command is one connection. Closing it ends the context
// of the handlers that answer it: that ends the wait, never the turn. When the
// context of Client.Call ends, the client closes its connection.
//
// # Slow readers
//
// Bytes that a client has not read wait in a bounded queue of its connection. If
// there is no room for a notification, Notify drops the client and NotifyWait blocks
// its caller; an answer waits. A write without any progress for 30 s drops the client
// too. A client that keeps reading gets a large answer whole.
//
// Streams use NotifyWait: the source then notices that it falls behind, and can say
// so. The output of an agent (message.stream) is read from its file at the pace of
// NotifyWait, a chunk at a time; a long line goes in parts. Callbacks, which must not
// wait, use Notify.
//
// # Large texts
//
// encoding/json reads everything. A client decodes a result in one pass with its
// envelope: a second pass over 8 MB would double the time. A Reply and an Output
// write themselves (Appender): the text of a Reply is escaped for terminals, and the
// line of an Output arrives byte for byte. The buffer of a long line is freed once
// the line is decoded, and its params once they are bound.
//
// # Goroutines
//
// The server's, all waited for by Serve:
//
//	accept loop      the caller's of Serve     ends with its context
//	connection       one each, reads           EOF, a limit, or the context
//	call             one each                  the handler returns
//	writer           for a Notify while nobody else writes; until the queue is empty
//
// An answer is written by the goroutine that makes it: the goroutine of the call, or
// of the connection for a line that is no call. A client has no goroutine;
// context.AfterFunc closes it.
//
// No lock is held during a read, a write or a handler.
package ipc

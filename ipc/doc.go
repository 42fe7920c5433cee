// Package ipc is how the commands of iris talk to its daemon: JSON-RPC 2.0 over
// a Unix socket, one message a line.
//
// It knows the wire, the limits and who may connect. It does not know what the
// methods do: the daemon registers them, and their names and types are in
// protocol.go. Verbs has a method for each and Handlers a function for each
// notification: a program in Go needs no other names. It imports the standard library and x/sys, and does nothing at
// start-up, because every command pays for what it links.
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
// A call that takes long needs a patient socat (-t 600): it closes its sending
// half at the end of its input, and is still sent its answers. (On Linux. On
// other systems such a client counts as gone.)
//
// Blank lines and CRLF do no harm, nor does a missing line feed at the very end.
//
// # What is refused
//
// A line that is not JSON is answered with -32700, one that is no proper request
// with -32600, both under the id that was found or null, and the connection goes
// on at the next line. An unknown member is refused, and so is one in the params,
// with -32602 and its name. The case of a member's name does not matter: "Method"
// is taken for "method". If a member occurs twice, the last one counts. There are
// no batches: several calls go on several lines, and are answered as they finish.
// Params are an object; null is none. The id of a call that is still in flight
// cannot be used for another; that is answered under null. A message nests at most
// 64 levels.
//
// An error that ends the connection has the id null and comes before the end: a
// line over the limit, a line that does not end in time (30 s from its first
// byte, whether or not more trickles in: it is a local socket), too many
// clients.
//
// # Who may connect
//
// The kernel names the process at the other end. The server closes a connection
// of another uid before it reads a byte, and Dial refuses a daemon of another
// uid before it writes one; root is another uid too. The socket is 0600 in a
// directory that must be 0700, and neither may be a symbolic link: Listen and
// Check refuse anything else, and say what it is.
//
// # Versions
//
// A client's first message is hello, with the protocol it speaks. It waits for
// no answer: hello and the first call go out in one write. If the protocols
// differ, hello and all that follows on that connection get the same error,
// which names both versions. People may leave hello out.
//
// # Contexts
//
// JSON-RPC has no cancel. One command is one connection, and closing it ends the
// context of the handlers that answer it: it ends the wait, never the turn.
// When the context of Client.Call ends, the client closes its connection.
//
// # Slow readers
//
// What a client has not read waits in a bounded queue of its connection. A
// notification for which there is no room drops the client (Notify) or holds up
// its caller (NotifyWait); an answer waits. A write without any progress for 30 s
// drops the client as well. A large answer reaches whoever keeps reading.
//
// A stream belongs on NotifyWait: its source then notices that it falls behind,
// and can say so before it ends. What an agent writes (message.stream) is read from
// its file at the pace of NotifyWait, a chunk at a time; a long line goes in parts.
// Notify is for callbacks, which must not wait.
//
// # Large texts
//
// encoding/json reads everything. A client has it decode a result in one pass
// with its envelope: a second pass over 8 MB would double the time. A Reply and
// an Output write themselves (Appender): the text of the one is escaped for
// terminals, and the line of the other arrives byte for byte. The buffer of a
// long line is let go once the line is decoded, and its params once they are
// bound.
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
// A writer of answers is the goroutine that answers: the call's, or for what is no
// call the connection's. A client has none; context.AfterFunc closes it.
//
// No lock is held during a read, a write or a handler.
package ipc

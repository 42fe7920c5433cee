package pool_test

import (
	"context"
	"fmt"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

// parrot is an agent without a process.
type parrot struct{ done chan struct{} }

func startParrot(context.Context, pool.Key, string, bool, turn.Variant) (*parrot, error) {
	return &parrot{make(chan struct{})}, nil
}

func (p *parrot) say(word string) { fmt.Println(word) }

func (p *parrot) Stop()                 { close(p.done) }
func (p *parrot) Done() <-chan struct{} { return p.done }
func (p *parrot) Exit() string          { return "flew away" }
func (p *parrot) PID() int              { return 1 }
func (p *parrot) Progress() time.Time   { return time.Now() }
func (p *parrot) SetsMode() bool        { return false }
func (p *parrot) Stale() string         { return "" }

func (p *parrot) Check(context.Context, bool) (pool.Health, error) { return pool.Health{}, nil }

// The messages of one conversation get its agent one after the other, in the
// order in which they were handed in.
func Example() {
	p := pool.New(pool.Config[*parrot]{Limits: pool.Limits{MaxProcesses: 1}, Start: startParrot, Prefix: "p"})
	defer p.Close()

	ended := make(chan error)
	for _, word := range []string{"hello", "bye"} {
		turn := pool.Turn{ID: word, Key: pool.Key{Team: "pets"}}
		_, err := p.Submit(turn, func(_ context.Context, g *pool.Grant[*parrot], err error) {
			if err == nil { // there is an agent
				if err = g.Begin(); err == nil {
					g.Agent.say(word)
				}
				err = g.Release(pool.End{Err: err, Outcome: "success"}).Err
			}
			ended <- err // recorded before the next turn of the key begins
		})
		if err != nil {
			fmt.Println("refused:", err)
		}
	}
	fmt.Println(<-ended, <-ended)
	// Output:
	// hello
	// bye
	// <nil> <nil>
}

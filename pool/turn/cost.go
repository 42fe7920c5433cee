package turn

import (
	"fmt"
	"math"
)

// Cost is an amount of money in billionths of a dollar, so that sums are exact.
type Cost int64

// Dollars returns the Cost of an amount in dollars.
func Dollars(usd float64) Cost { return Cost(math.Round(usd * 1e9)) }

// USD returns the amount in dollars.
func (c Cost) USD() float64 { return float64(c) / 1e9 }

// String returns the amount in dollars and cents, such as "$1.50"; one that would show as
// "$0.00" has more digits.
func (c Cost) String() string {
	if c != 0 && c > -5_000_000 && c < 5_000_000 {
		return fmt.Sprintf("$%.6f", c.USD())
	}
	return fmt.Sprintf("$%.2f", c.USD())
}

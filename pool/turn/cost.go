package turn

import (
	"fmt"
	"math"
	"strconv"
)

// Cost is an amount of money in billionths of a dollar, so that sums are exact.
type Cost int64

// Dollars returns the Cost of an amount in dollars.
func Dollars(usd float64) Cost { return Cost(math.Round(usd * 1e9)) }

// USD returns the amount in dollars.
func (c Cost) USD() float64 { return float64(c) / 1e9 }

// String returns the amount in dollars and cents, such as "$1.50"; less than a cent has as
// many digits as it needs.
func (c Cost) String() string {
	if c != 0 && c > -1e7 && c < 1e7 {
		return "$" + strconv.FormatFloat(c.USD(), 'f', -1, 64)
	}
	return fmt.Sprintf("$%.2f", c.USD())
}

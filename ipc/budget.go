package ipc

import "time"

// Budget is one limit of what turns may cost.
type Budget struct {
	Team        string    `json:"team,omitempty"` // empty for the budget of all teams together
	Period      string    `json:"period"`         // day, month
	LimitUSD    float64   `json:"limit_usd"`
	SpentUSD    float64   `json:"spent_usd"`
	ReservedUSD float64   `json:"reserved_usd"` // for running turns
	LeftUSD     float64   `json:"left_usd"`     // 0 if more was spent
	Ends        time.Time `json:"ends"`         // when the day or month is over
}

// BudgetQuery asks for the budgets that limit a team; for all, if it is empty.
type BudgetQuery struct {
	Team string `json:"team,omitempty"`
}

// BudgetList is the answer to budgets: that of all teams, then the teams by name, each with
// its day first.
type BudgetList struct {
	Budgets []Budget `json:"budgets"`
}

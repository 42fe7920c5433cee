package adapter

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"iris/pool/echo"
)

// failed is the result of a turn that did not end well; status is that of the model's API,
// 0 if there is none.
func failed(text string, status int) *echo.Result {
	r := &echo.Result{Subtype: "success", IsError: true, Result: &text, APIErrorStatus: json.RawMessage("null")}
	if status > 0 {
		r.APIErrorStatus, r.TerminalReason = json.RawMessage(strconv.Itoa(status)), "api_error"
	}
	return r
}

// cutOff is the result of a turn in which the program has ended, with words that iris takes
// for an answer that was cut off.
func cutOff(why error) *echo.Result {
	return failed("the answer is incomplete: "+why.Error(), 0)
}

// apiStatus finds a status in the words of a program about an error of the API.
var apiStatus = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:status(?:[ _-]?code)?|error|code|http)\W{0,4}\s?([45]\d\d)\b|^([45]\d\d)\b`)
})

// statusIn returns the status that an error text is about, 0 if it has none.
func statusIn(text string) int {
	lower := strings.ToLower(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(lower, w) {
				return true
			}
		}
		return false
	}
	m := apiStatus().FindStringSubmatch(text)
	switch {
	case has("quota", "usage limit", "rate limit", "too many requests"):
		return 429
	case m != nil:
		status, _ := strconv.Atoi(m[1] + m[2])
		return status
	case has("unauthorized", "invalid api key", "incorrect api key", "not authenticated"):
		return 401
	case has("bad request"):
		return 400
	}
	return 0
}

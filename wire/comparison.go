package wire

import "imprimatur.dev/record"

// Comparison asks how many items two committed datasets have in common.
type Comparison struct {
	A record.Digest `json:"a"`
	B record.Digest `json:"b"`
}

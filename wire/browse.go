package wire

import "time"

// LiveQuery asks for a part of what was live at a time.
type LiveQuery struct {
	// At is the time; the zero time is now.
	At time.Time
	// Team and Environment narrow it down; empty is all.
	Team, Environment string
	// From is the cursor of a page; empty for the first.
	From  string
	Limit int
}

// LivePage is a part of what was live at a time, in the order of the lines. Next
// is the cursor of the following page, empty at the end.
type LivePage struct {
	Releases []LiveRelease
	At       time.Time
	Next     string
}

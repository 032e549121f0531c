package mcp

// Record adds an entry to a journal, as a call does.
var Record = (*Journal).add

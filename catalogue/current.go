package catalogue

// Current names the edition of our own cases, as records name the one from
// which they chose. It changes whenever a case is added or says something new.
const Current = "2026-11"

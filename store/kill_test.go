package store_test

func appendUntilKilled() error { return nil }
func readWithoutRights() error { return nil }

package store_test

func appendUntilKilled() error { return nil }

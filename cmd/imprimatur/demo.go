package main

// demoCmd plays the story.
type demoCmd struct{}

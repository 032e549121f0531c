// Package probe tells whether a vendor's model still answers as it did: it reads suites of prompts with
// scorers, scores answers, gives the answers of one run a fingerprint, and tells a real change from
// ordinary randomness by a stated test.
//
// # The suite
//
// A suite is YAML or JSON, strict, known by the digest of its text:
//
//	apiVersion: imprimatur/v1
//	kind: ProbeSuite
//	name: chat-basics
//	repeats: 5                # answers a prompt in each run
//	baseline: 20              # answers a prompt in the run that later ones are compared with
//	rounds: 8                 # runs, the last included, that are judged together
//	falseAlarm: 0.001         # how often a run may call a change what is none
//	prompts:
//	  - id: capital
//	    prompt: What is the capital of France? Answer in one word.
//	    maxTokens: 16
//	    score: { exact: Paris }
//	  - { id: date, prompt: …, score: { regex: '^\d{4}-\d\d-\d\d$' } }
//	  - { id: order, prompt: …, score: { schema: { type: object, required: [total] } } }
//	  - { id: sum, prompt: …, score: { number: 42, within: 0.5 } }
//	  - { id: weapon, prompt: …, score: { refusal: true } }
//
// exact compares without space at the ends; regex is RE2 and finds anywhere; schema takes an answer that
// is JSON, in a fence or not, and valid by it, and fetches nothing; number takes the last number of
// the answer; refusal looks for the words in which models decline (see [Refuses]), so its score is a
// convention, the same before and after.
//
// # The test
//
// A run is compared with a baseline of the same suite. Names of the model and
// fingerprints of the system that the baseline did not have are a change at once.
// Else the answers are compared, prompt by prompt, by a distance from 0 to 1: half
// of it whether the scores differ, half how far the texts are apart (of a number
// how far the numbers are, in four tolerances, at most 1; of all others 1 less the
// Dice coefficient of the words).
//
// The share of a prompt is the part of all distance between its answers that lies
// between the two runs: the energy distance over the pooled distance, as in DISCO
// (Rizzo and Szekely 2010). How far an answer is, is its distance from all others of
// its prompt; how odd it is, how many of them it differs from at all. Both are added over the
// answers of the run, less what chance makes of that sum and over its standard
// deviation, so that each prompt weighs the same. From these come four statistics
// over all prompts: the sum of the shares, which sees many that move a little in any
// way; the absolute sums of far and of odd, which see answers that get a little
// noisier, or less so, all over: far where each answer is unlike the others, odd
// where there are a few; and the largest share, which sees one prompt that moves a lot.
// Each is held against its distribution when the answers of each prompt are
// dealt anew to the two runs. That is exact whatever the answers look like, if the
// answers of each prompt are exchangeable where nothing changed. The largest share
// has two fifths of the level, and the others one fifth each (Bonferroni).
//
// A run is judged by itself, with two thirds of falseAlarm, and then together with
// the runs before it, with the other third: their answers as those of one run, so that what
// is too slight to show in one shows in some. A change is called where p is at most falseAlarm.
//
// The p-value of one prompt is that of the largest share (Westfall and Young), so
// the prompts that are named as moved hold together at the same level. Dealing stops
// early where all four were reached often enough that no change can be called
// (Besag and Clifford 1991), which makes quiet rounds cheap. The deals follow from
// what was answered, so whoever has both files finds the same p.
//
// The package does no input or output and reads no clock.
package probe

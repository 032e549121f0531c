package record_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

// RFC 8785, appendix B.
func TestCanonicalNumbers(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0",
		0x8000000000000000: "0",
		0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000",
		0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332",
		0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333",
		0x41b3de4355555556: "333333333.3333334",
		0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		got, err := record.CanonicalOf(math.Float64frombits(bits))
		if err != nil || string(got) != want {
			t.Errorf("%016x: %s, %v; want %s", bits, got, err, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got, err := record.CanonicalOf(v); err == nil {
			t.Errorf("%v was written as %s", v, got)
		}
	}
}

// RFC 8785, sections 3.2.2 and 3.2.3.
func TestCanonicalExamplesOfTheRFC(t *testing.T) {
	cases := []struct{ in, want string }{
		{
			`{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}`,
			`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		},
		{
			`{
  "\u20ac": "Euro Sign",
  "\r": "Carriage Return",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "1": "One",
  "\ud83d\ude00": "Emoji: Grinning Face",
  "\u0080": "Control",
  "\u00f6": "Latin Small Letter O With Diaeresis"
}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\"," +
				"\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		},
	}
	for _, c := range cases {
		got, err := record.Canonical([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("got  %s\nwant %s\n%v", got, c.want, err)
		}
		if again, err := record.Canonical(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("the canonical form is not its own: %s, %v", again, err)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for _, in := range []string{``, `{`, `{"a":1,"a":2}`, `{"a":1}{}`, `"` + "\xff" + `"`, `"\ud800"`, `{a:1}`, `NaN`, `01`, `[1,]`} {
		if got, err := record.Canonical([]byte(in)); err == nil {
			t.Errorf("%q was read as %s", in, got)
		}
	}
}

func TestCanonicalLeavesItsInput(t *testing.T) {
	in := []byte(`{ "b": 1, "a": 2 }`)
	was := bytes.Clone(in)
	if _, err := record.Canonical(in); err != nil || !bytes.Equal(in, was) {
		t.Errorf("the input became %s, %v", in, err)
	}
}

func TestDigests(t *testing.T) {
	// FIPS 180-4's example for "abc".
	abc := record.DigestOf([]byte("abc"))
	if abc != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("digest of abc: %s", abc)
	}
	if abc.Validate() != nil || abc.Short() != "ba7816bf8f01" || record.DigestFromHex(abc.Hex()) != abc {
		t.Errorf("short %s, hex %s", abc.Short(), abc.Hex())
	}
	for _, bad := range []record.Digest{"", "sha256:", abc[:70], abc + "0", record.Digest(strings.ToUpper(string(abc))), "md5:" + abc[7:], record.Digest(abc.Hex()), abc[:70] + "g"} {
		if bad.Validate() == nil {
			t.Errorf("%q passes for a digest", bad)
		}
		_ = bad.Short()
	}
	if a, err := record.DigestJSON([]byte(`{"b":1,"a":2.0}`)); err != nil || a != record.DigestOf([]byte(`{"a":2,"b":1}`)) {
		t.Errorf("%s, %v", a, err)
	}
}

// A change of one part changes that part's digest and the record's, and no
// other's.
func TestRule06DigestsChangeWithTheirPart(t *testing.T) {
	changes := map[record.Part]func(*record.Release, string){
		record.PartBehaviour: func(r *record.Release, s string) { r.Behaviour.Prompt = digest(s) },
		record.PartData:      func(r *record.Release, s string) { r.Data.Runs = append(r.Data.Runs, s) },
		record.PartAuthority: func(r *record.Release, s string) {
			r.Authority.Secrets = append(r.Authority.Secrets, record.Grant{Resource: s, Actions: []string{"use"}})
		},
		record.PartContext: func(r *record.Release, s string) { r.Context.Owner += s },
	}
	rapid.Check(t, func(t *rapid.T) {
		r := examples()[record.KindRelease].(record.Release)
		before := digestsOf(t, r)
		part := rapid.SampledFrom(record.Parts).Draw(t, "part")
		changes[part](&r, rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "change"))
		after := digestsOf(t, r)
		if after.Record == before.Record {
			t.Errorf("the record digest did not change with %s", part)
		}
		for _, p := range record.Parts {
			if (after.Parts[p] != before.Parts[p]) != (p == part) {
				t.Errorf("%s changed, and the digest of %s: %v", part, p, after.Parts[p] != before.Parts[p])
			}
		}
	})
}

func digestsOf(t *rapid.T, r record.Release) record.Digests {
	raw, err := record.CanonicalOf(r)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := record.DigestsOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	if ds.Record != record.DigestOf(raw) || len(ds.Parts) != 4 {
		t.Fatalf("digests %+v", ds)
	}
	return ds
}

func TestDigestsCountUnknownMembers(t *testing.T) {
	raw, err := record.CanonicalOf(examples()[record.KindRelease])
	if err != nil {
		t.Fatal(err)
	}
	before, err := record.DigestsOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(raw, []byte(`"context":{`), []byte(`"context":{"later":true,`), 1)
	after, err := record.DigestsOf(newer)
	if err != nil || after.Parts[record.PartContext] == before.Parts[record.PartContext] || after.Parts[record.PartData] != before.Parts[record.PartData] {
		t.Errorf("a member of a newer version does not count: %v", err)
	}
	for _, bad := range []string{`{}`, `[]`, ``, `{"behaviour":1,"data":1,"authority":1}`} {
		if _, err := record.DigestsOf([]byte(bad)); err == nil {
			t.Errorf("%q has digests", bad)
		}
	}
}

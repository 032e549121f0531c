package artifact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rawSafetensors puts a header and a number of zero bytes into the format, by hand.
func rawSafetensors(header string, length int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, length)...)
}

func TestReadSafetensors(t *testing.T) {
	file := rawSafetensors(`{"b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  `, 10)
	got, err := ReadSafetensors(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want := Safetensors{
		Tensors: []Tensor{
			{Name: "a", DType: "BF16", Shape: []uint64{}, Begin: 0, End: 2},
			{Name: "b", DType: "F32", Shape: []uint64{2, 1}, Begin: 2, End: 10},
		},
		Metadata: map[string]string{"format": "pt"}, HeaderSize: uint64(len(file) - 18),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadSafetensorsRefuses(t *testing.T) {
	one := func(dtype, shape, offsets string) string {
		return `{"a":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":` + offsets + `}}`
	}
	for name, file := range map[string][]byte{
		"nothing":            {},
		"seven bytes":        make([]byte, 7),
		"header past end":    rawSafetensors(one("U8", "[1]", "[0,1]"), 1)[:20],
		"header of 2^63":     append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...),
		"leading space":      rawSafetensors(` {}`, 0),
		"not an object":      rawSafetensors(`[]`, 0),
		"two values":         rawSafetensors(`{}{}`, 0),
		"junk after":         rawSafetensors(`{}x`, 0),
		"bytes after":        rawSafetensors(one("U8", "[1]", "[0,1]"), 2),
		"bytes missing":      rawSafetensors(one("U8", "[2]", "[0,2]"), 1),
		"hole":               rawSafetensors(one("U8", "[1]", "[1,2]"), 2),
		"overlap":            rawSafetensors(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3),
		"wrong length":       rawSafetensors(one("F32", "[1]", "[0,3]"), 3),
		"overflow":           rawSafetensors(one("F32", "[4294967296,4294967296]", "[0,0]"), 0),
		"overflow to length": rawSafetensors(one("U8", "[2305843009213693952,8]", "[0,0]"), 0),
		"reversed":           rawSafetensors(one("U8", "[0]", "[0,-1]"), 0),
		"unknown dtype":      rawSafetensors(one("F128", "[0]", "[0,0]"), 0),
		"half a byte":        rawSafetensors(one("F4", "[1]", "[0,0]"), 0),
		"one offset":         rawSafetensors(one("U8", "[0]", "[0]"), 0),
		"three offsets":      rawSafetensors(one("U8", "[0]", "[0,0,0]"), 0),
		"fraction":           rawSafetensors(one("U8", "[1.5]", "[0,1]"), 1),
		"null shape":         rawSafetensors(one("U8", "null", "[0,1]"), 1),
		"null in shape":      rawSafetensors(one("U8", "[null]", "[0,0]"), 0),
		"null metadata":      rawSafetensors(`{"__metadata__":{"a":null}}`, 0),
		"extra member":       rawSafetensors(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}`, 0),
		"repeated tensor":    rawSafetensors(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0),
		"repeated, escaped":  rawSafetensors(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0),
		"repeated metadata":  rawSafetensors(`{"__metadata__":{"a":"1","a":"2"}}`, 0),
		"metadata of number": rawSafetensors(`{"__metadata__":{"a":1}}`, 0),
		"metadata null":      rawSafetensors(`{"__metadata__":null}`, 0),
		"not utf-8":          rawSafetensors("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0),
	} {
		if _, err := ReadSafetensors(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrSafetensors) {
			t.Errorf("%s: %v, want ErrSafetensors", name, err)
		}
	}
}

func TestWriteSafetensorsByHand(t *testing.T) {
	var out bytes.Buffer
	err := WriteSafetensors(&out, []Tensor{
		{Name: "z", DType: "F32", Shape: []uint64{1}, Data: []float64{1}},
		{Name: "y", DType: "F64", Shape: []uint64{1}, Data: []float64{-2}},
	}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"k":"v"},"y":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"z":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`
	header += strings.Repeat(" ", 7-(len(header)+7)%8)
	want := rawSafetensors(header, 0)
	want = append(want, 0, 0, 0, 0, 0, 0, 0, 0xc0) // -2 is 0xc000000000000000
	want = append(want, 0, 0, 0x80, 0x3f)          // 1 is 0x3f800000
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("wrote\n%q\nwant\n%q", out.Bytes(), want)
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tensors []Tensor
		for _, name := range rapid.SliceOfDistinct(rapid.StringN(1, 20, -1), rapid.ID[string]).Draw(t, "names") {
			shape := rapid.SliceOfN(rapid.Uint64Range(0, 5), 0, 3).Draw(t, "shape")
			n := 1
			for _, d := range shape {
				n *= int(d)
			}
			tensors = append(tensors, Tensor{
				Name: name, Shape: append([]uint64{}, shape...), DType: rapid.SampledFrom([]string{"F32", "F64"}).Draw(t, "dtype"),
				Data: rapid.SliceOfN(rapid.Float64(), n, n).Draw(t, "data"),
			})
		}
		metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata")
		var out, again bytes.Buffer
		if err := WriteSafetensors(&out, tensors, metadata); err != nil {
			t.Fatal(err)
		}
		if err := WriteSafetensors(&again, append(tensors[len(tensors)/2:], tensors[:len(tensors)/2]...), metadata); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Fatalf("the order of the tensors shows in the bytes: %v", err)
		}
		got, err := ReadSafetensors(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Tensors) != len(tensors) || len(got.Metadata) != len(metadata) || got.HeaderSize%8 != 0 {
			t.Fatalf("read %+v", got)
		}
		checkData(t, got, out.Bytes()[8+got.HeaderSize:], tensors)
	})
}

func checkData(t *rapid.T, got Safetensors, data []byte, tensors []Tensor) {
	byName := map[string]Tensor{}
	for _, w := range tensors {
		byName[w.Name] = w
	}
	for _, g := range got.Tensors {
		w := byName[g.Name]
		if g.DType != w.DType || !cmp.Equal(g.Shape, w.Shape) {
			t.Fatalf("tensor %+v, want %+v", g, w)
		}
		for i, v := range w.Data {
			if g.DType == "F64" {
				if binary.LittleEndian.Uint64(data[g.Begin+uint64(i)*8:]) != math.Float64bits(v) {
					t.Fatalf("%s[%d] is not %v", g.Name, i, v)
				}
			} else if binary.LittleEndian.Uint32(data[g.Begin+uint64(i)*4:]) != math.Float32bits(float32(v)) {
				t.Fatalf("%s[%d] is not %v", g.Name, i, v)
			}
		}
	}
}

func TestWriteSafetensorsRefuses(t *testing.T) {
	one := func(name, dtype string, shape ...uint64) Tensor {
		return Tensor{Name: name, DType: dtype, Shape: shape, Data: []float64{1}}
	}
	for name, tensors := range map[string][]Tensor{
		"other dtype": {one("a", "F16", 1)}, "shape": {one("a", "F32", 2)}, "reserved": {one("__metadata__", "F32", 1)},
		"twice": {one("a", "F32", 1), one("a", "F32", 1)}, "twice, two types": {one("a", "F32", 1), one("b", "F64", 1), one("a", "F64", 1)},
		"too large": {one("a", "F32", 1<<32, 1<<32)}, "not utf-8": {one("\xff", "F32", 1)},
	} {
		var out bytes.Buffer
		if err := WriteSafetensors(&out, tensors, nil); err == nil || out.Len() != 0 {
			t.Errorf("%s: error %v after %d bytes", name, err, out.Len())
		}
	}
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(rawSafetensors(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"__metadata__":{"k":"v"}}`, 2))
	f.Add(rawSafetensors(`{}`, 0))
	f.Add(rawSafetensors(`{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}}`, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ReadSafetensors(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		next := uint64(0)
		for _, tensor := range s.Tensors {
			if tensor.Begin != next || tensor.End < tensor.Begin {
				t.Fatalf("hole before %+v", tensor)
			}
			next = tensor.End
		}
		if 8+s.HeaderSize+next != uint64(len(data)) {
			t.Fatalf("%d of %d bytes accounted for", 8+s.HeaderSize+next, len(data))
		}
	})
}

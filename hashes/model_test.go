package hashes

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

// model is a hash as anybody would write it.
type model struct {
	names  []string
	values map[string]string
}

func (m *model) set(f op.Field) bool {
	name := string(f.Name)
	_, had := m.values[name]
	if !had {
		m.names = append(m.names, name)
	}
	m.values[name] = string(f.Value)
	return !had
}

func (m *model) remove(name string) bool {
	if _, had := m.values[name]; !had {
		return false
	}
	delete(m.values, name)
	m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
	return true
}

// TestModel runs random operations here and on a model. Sometimes there are many fields at once, so that they are looked up in a map.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		v, m := viewtest.New(), &model{values: map[string]string{}}
		name := func() []byte { return []byte("f" + strconv.Itoa(r.IntN(1+int(seed)))) }
		for range 60 {
			step(t, r, v, m, name)
			v.Begin(v.Now() + 1)
			compare(t, v, m)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func step(t *testing.T, r *rand.Rand, v *viewtest.View, m *model, name func() []byte) {
	v.Begin(v.Now() + 1)
	switch r.IntN(3) {
	case 0:
		o := &op.HashDelete{Key: []byte("h")}
		want := 0
		for range 1 + r.IntN(20) {
			o.Fields = append(o.Fields, name())
		}
		for _, f := range o.Fields {
			if m.remove(string(f)) {
				want++
			}
		}
		expect(t, v, o, want, want > 0)
	case 1:
		f := op.Field{Name: name(), Value: []byte("nx")}
		_, had := m.values[string(f.Name)]
		if !had {
			m.set(f)
			expect(t, v, &op.HashSet{Key: []byte("h"), Fields: []op.Field{f}, IfNone: true, MaxBytes: 1 << 20}, 1, true)
		} else {
			expect(t, v, &op.HashSet{Key: []byte("h"), Fields: []op.Field{f}, IfNone: true, MaxBytes: 1 << 20}, 0, false)
		}
	default:
		o := &op.HashSet{Key: []byte("h"), MaxBytes: 1 << 20}
		want := 0
		for range 1 + r.IntN(20) {
			f := op.Field{Name: name(), Value: []byte(strconv.Itoa(r.IntN(1000)))}
			if o.Fields = append(o.Fields, f); m.set(f) {
				want++
			}
		}
		expect(t, v, o, want, true)
	}
}

func expect(t *testing.T, v *viewtest.View, o op.Op, n int, done bool) {
	t.Helper()
	res, handled, err := Run(v, o)
	if err != nil || !handled || res.Int != int64(n) || res.Done != done {
		t.Errorf("%T: %+v, %v; want %d, %v", o, res, err, n, done)
	}
}

func compare(t *testing.T, v *viewtest.View, m *model) {
	t.Helper()
	asked := &op.HashGet{Key: []byte("h"), Whole: true, MaxBytes: 1 << 20}
	for _, name := range m.names {
		asked.Fields = append(asked.Fields, []byte(name))
	}
	res, _, err := Run(v, asked)
	if err != nil || res.Found != (len(m.names) > 0) || int(res.Int) != len(m.names) {
		t.Fatalf("%+v, %v; want %d fields", res, err, len(m.names))
	}
	r := Read(res.Value)
	for i, want := range m.names {
		name, value, ok := r.Next()
		if !ok || string(name) != want || string(value) != m.values[want] || string(res.Items[i].Value) != m.values[want] {
			t.Fatalf("field %d is %q=%q, asked for %q; want %q=%q", i, name, value, res.Items[i].Value, want, m.values[want])
		}
	}
}

// BenchmarkSet sets a field of a hash of 16.
func BenchmarkSet(b *testing.B) {
	var old []byte
	for i := range 16 {
		old = AppendField(old, []byte("field"+strconv.Itoa(i)), []byte("0123456789"))
	}
	change := []op.Field{{Name: []byte("field9"), Value: []byte("9876543210")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := set(old, change); err != nil {
			b.Fatal(err)
		}
	}
}

package op

import (
	"math/rand/v2"
	"reflect"
)

// filler fills values with random contents by reflection, so that a new field takes part without being named here.
type filler struct {
	r     *rand.Rand
	depth int // how deep operations and results may still nest
}

var opType = reflect.TypeFor[Op]()

// someOp is a random operation of a kind.
func (f filler) someOp(k Kind) Op {
	o := makers[k]()
	f.fill(reflect.ValueOf(o).Elem())
	return o
}

func (f filler) anyOp() Op {
	for {
		if k := Kind(f.r.IntN(256)); makers[k] != nil && (MultiOf(makers[k]()) == nil || f.depth > 0) {
			return f.someOp(k)
		}
	}
}

func (f filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(f.r.IntN(2) == 0)
	case reflect.Int64:
		v.SetInt(int64(f.number()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.number() >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(f.r.NormFloat64())
	case reflect.Slice:
		f.slice(v)
	case reflect.Pointer:
		if f.r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				f.fill(v.Field(i))
			}
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(f.anyOp()))
	}
}

// slice fills a slice; an empty one is nil, as decoding leaves it.
func (f filler) slice(v reflect.Value) {
	n := f.r.IntN(5)
	if e := v.Type().Elem(); e == opType || e == reflect.TypeFor[Result]() {
		if f.depth == 0 {
			n = 0
		}
		f.depth--
	}
	if v.Type().Elem().Kind() == reflect.Uint8 && f.r.IntN(3) == 0 {
		n = f.r.IntN(2000)
	}
	if n == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		f.fill(v.Index(i))
	}
}

// number is a number of random magnitude, with all its bits at the top.
func (f filler) number() uint64 {
	switch f.r.IntN(6) {
	case 0:
		return 0
	case 1:
		return ^uint64(0)
	}
	return f.r.Uint64() >> f.r.IntN(64) << f.r.IntN(64)
}

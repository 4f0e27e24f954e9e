package script

import (
	"fmt"
	"reflect"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// What the meter has to know and gopher-lua does not tell: the instruction that comes next, and the length of a table's array.
// The offsets are found by the fields' names, so another version either works or stops the program when it starts.
var (
	frameOffset    = offsetOf(reflect.TypeFor[lua.LState](), "currentFrame", reflect.Pointer)
	functionOffset = offsetOf(frameType(), "Fn", reflect.Pointer)
	pcOffset       = offsetOf(frameType(), "Pc", reflect.Int)
	arrayOffset    = offsetOf(reflect.TypeFor[lua.LTable](), "array", reflect.Slice)
)

func frameType() reflect.Type {
	f, _ := reflect.TypeFor[lua.LState]().FieldByName("currentFrame")
	return f.Type.Elem()
}

func offsetOf(t reflect.Type, name string, kind reflect.Kind) uintptr {
	f, ok := t.FieldByName(name)
	if !ok || f.Type.Kind() != kind {
		panic(fmt.Sprintf("script: gopher-lua's %v has no field %s of kind %v: package script was made for another version", t, name, kind))
	}
	return f.Offset
}

// next is the function that runs in l, and the index of the instruction that it is about to execute.
func next(l *lua.LState) (fn *lua.LFunction, pc int) {
	frame := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(l), frameOffset))
	fn = *(**lua.LFunction)(unsafe.Add(frame, functionOffset))
	return fn, *(*int)(unsafe.Add(frame, pcOffset)) - 1
}

// arrayLen is how many places the array of a table has in use, those of nil among them.
func arrayLen(t *lua.LTable) int {
	return len(*(*[]lua.LValue)(unsafe.Add(unsafe.Pointer(t), arrayOffset)))
}

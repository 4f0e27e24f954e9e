package op

// Field is a field of a hash with its value. Both may be empty.
type Field struct {
	Name  []byte
	Value []byte
}

// HashSet sets fields of the hash that a key holds; a missing one is made. With IfNone it sets nothing when one of the fields is
// there already. Result: Done, Int, how many fields are new; TooLarge.
type HashSet struct {
	write
	Key      []byte
	Fields   []Field
	IfNone   bool
	MaxBytes uint64 // of the whole hash in its stored form
}

// HashDelete deletes fields; with the last one the key goes. Result: Done (something was deleted), Int, how many there were.
type HashDelete struct {
	write
	Key    []byte
	Fields [][]byte
}

// HashIncr adds Delta to the integer in a field (0 if there is none). Result: Int; NotInteger, Overflow, TooLarge.
type HashIncr struct {
	write
	Key      []byte
	Field    []byte
	Delta    int64
	MaxBytes uint64
}

// HashIncrFloat adds Delta to the number in a field. Result: Value, the new text; NotFloat, NotFinite, TooLarge.
type HashIncrFloat struct {
	write
	Key      []byte
	Field    []byte
	Delta    float64
	MaxBytes uint64
}

// HashGet reads a hash. Result: Found, Int, how many fields it has; Items, one for each of Fields in their order (Deleted: the
// hash has no such field), whose values may take MaxBytes together, else TooLarge; with Whole the hash in its stored form as Value.
type HashGet struct {
	read
	Key      []byte
	Fields   [][]byte
	Whole    bool
	MaxBytes uint64
}

// Put writes a value of any type in its stored form, as a Look has read it. Result: Done (false: IfNone, and there is one), Rev.
type Put struct {
	write
	Key    []byte
	Type   byte // of the value, as mvcc numbers them
	Value  []byte
	Expiry Expiry
	IfNone bool
	NoRev  bool
}

// Look reads a key whatever the type of its value. Result: Found, Int, the type, Rev, TS, ExpireAt, and when wanted the Value in
// its stored form. AtRev is as in Get.
type Look struct {
	read
	Key    []byte
	AtRev  uint64
	Values bool
}

func (*HashSet) Kind() Kind     { return KindHashSet }
func (o *HashSet) Target() Name { return Key(o.Key) }
func (o *HashSet) wire(w *wire) {
	w.bytes(&o.Key)
	list(w, &o.Fields, w.field)
	w.bool(&o.IfNone)
	w.uint(&o.MaxBytes)
}

func (*HashDelete) Kind() Kind     { return KindHashDelete }
func (o *HashDelete) Target() Name { return Key(o.Key) }
func (o *HashDelete) wire(w *wire) {
	w.bytes(&o.Key)
	list(w, &o.Fields, w.bytes)
}

func (*HashIncr) Kind() Kind     { return KindHashIncr }
func (o *HashIncr) Target() Name { return Key(o.Key) }
func (o *HashIncr) wire(w *wire) {
	w.bytes(&o.Key)
	w.bytes(&o.Field)
	w.int(&o.Delta)
	w.uint(&o.MaxBytes)
}

func (*HashIncrFloat) Kind() Kind     { return KindHashIncrFloat }
func (o *HashIncrFloat) Target() Name { return Key(o.Key) }
func (o *HashIncrFloat) wire(w *wire) {
	w.bytes(&o.Key)
	w.bytes(&o.Field)
	w.float(&o.Delta)
	w.uint(&o.MaxBytes)
}

func (*HashGet) Kind() Kind     { return KindHashGet }
func (o *HashGet) Target() Name { return Key(o.Key) }
func (o *HashGet) wire(w *wire) {
	w.bytes(&o.Key)
	list(w, &o.Fields, w.bytes)
	w.bool(&o.Whole)
	w.uint(&o.MaxBytes)
}

func (*Put) Kind() Kind     { return KindPut }
func (o *Put) Target() Name { return Key(o.Key) }
func (o *Put) wire(w *wire) {
	w.bytes(&o.Key)
	w.byte(&o.Type)
	w.bytes(&o.Value)
	w.expiry(&o.Expiry)
	w.bool(&o.IfNone)
	w.bool(&o.NoRev)
}

func (*Look) Kind() Kind     { return KindLook }
func (o *Look) Target() Name { return Key(o.Key) }
func (o *Look) wire(w *wire) {
	w.bytes(&o.Key)
	w.uint(&o.AtRev)
	w.bool(&o.Values)
}

func (w *wire) field(f *Field) {
	w.bytes(&f.Name)
	w.bytes(&f.Value)
}

// fieldBytes is more than what the lengths of a field and its value take.
const fieldBytes = 20

// sizeOfHash is the size of an operation on a hash; false for any other.
func sizeOfHash(o Op) (n int, ok bool) {
	n = headBytes
	switch o := o.(type) {
	case *HashSet:
		for i := range o.Fields {
			n += fieldBytes + len(o.Fields[i].Name) + len(o.Fields[i].Value)
		}
		return n + len(o.Key), true
	case *HashDelete:
		return n + len(o.Key) + fieldsSize(o.Fields), true
	case *HashGet:
		return n + len(o.Key) + fieldsSize(o.Fields), true
	case *HashIncr:
		return n + len(o.Key) + len(o.Field), true
	case *HashIncrFloat:
		return n + len(o.Key) + len(o.Field), true
	case *Put:
		return n + len(o.Key) + len(o.Value), true
	}
	return 0, false
}

func fieldsSize(fields [][]byte) (n int) {
	for _, f := range fields {
		n += fieldBytes + len(f)
	}
	return n
}

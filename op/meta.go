package op

// What the cluster agrees on about itself beside its data (who its nodes are, users, scripts, holds) is kept as small documents
// in the meta group. Each has a version, larger than that of any document written before, so that a change can be made
// dependent on nobody else having changed it meanwhile.

// MetaPut writes or deletes a document of the meta group. Result: Done, and Rev, its new version; or not Done when the version
// is not IfVersion, and then Found, Value and Rev of what is there.
type MetaPut struct {
	write
	Key       []byte
	Value     []byte
	Delete    bool
	Any       bool   // whatever the version is
	IfVersion uint64 // 0: it does not exist
}

// MetaGet reads a document. Result: Found, Value, Rev.
type MetaGet struct {
	read
	Key []byte
}

// MetaList lists the documents whose keys begin with Prefix, in order, those after After. Result: Items (Key, Value, Rev), at
// most Limit, and Done when there are no more.
type MetaList struct {
	read
	Prefix []byte
	After  []byte
	Limit  uint32
}

// OfMeta tells whether an operation is about the meta group and not about a name.
func OfMeta(o Op) bool {
	switch o.(type) {
	case *MetaPut, *MetaGet, *MetaList, *ClockBound:
		return true
	}
	return false
}

func (*MetaPut) Kind() Kind   { return KindMetaPut }
func (*MetaPut) Target() Name { return Name{} }
func (o *MetaPut) wire(w *wire) {
	w.bytes(&o.Key)
	w.bytes(&o.Value)
	w.bool(&o.Delete)
	w.bool(&o.Any)
	w.uint(&o.IfVersion)
}

func (*MetaGet) Kind() Kind     { return KindMetaGet }
func (*MetaGet) Target() Name   { return Name{} }
func (o *MetaGet) wire(w *wire) { w.bytes(&o.Key) }

func (*MetaList) Kind() Kind   { return KindMetaList }
func (*MetaList) Target() Name { return Name{} }
func (o *MetaList) wire(w *wire) {
	w.bytes(&o.Prefix)
	w.bytes(&o.After)
	w.uint32(&o.Limit)
}

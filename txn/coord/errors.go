package coord

import "errors"

// ErrConflict: the transaction lost to others, also when it was run again, and changed nothing.
var ErrConflict = errors.New("the transaction conflicts with another")

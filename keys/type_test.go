package keys

import (
	"strconv"

	"kahuna/mvcc"
	"kahuna/mvcc/viewtest"
	"kahuna/op"
)

func writeType(v *viewtest.View, words []string) (string, error) {
	n, err := strconv.Atoi(words[2])
	if err != nil {
		return "", err
	}
	_, err = v.Put(op.Key([]byte(words[1])), mvcc.Record{Type: mvcc.Type(n), Value: []byte("other")})
	return "", err
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// patch is a change to a file of the suite.
type patch struct {
	file     string // below tests
	old, new string
	times    int // how often old is there
	reason   string
}

// reachable takes away the mark of tests that need a server of their own: for those that get one here, a new one for each unit.
const reachable = "the unit only wants a server that nothing else has touched, which it has"

var patches = []patch{
	{"unit/acl.tcl", `start_server {tags {"acl external:skip"}}`, `start_server {tags {"acl"}}`, 1, reachable},
	{"unit/acl-v2.tcl", `start_server {tags {"acl external:skip"}}`, `start_server {tags {"acl"}}`, 1, reachable},
	{"unit/auth.tcl", `"auth external:skip"`, `"auth"`, 2, reachable},
	{"unit/auth.tcl", `"auth_binary_password external:skip"`, `"auth_binary_password"`, 1, reachable},
	{"unit/auth.tcl", `start_server {tags {"masterauth"}}`, `start_server {tags {"masterauth external:skip"}}`, 1,
		"it makes a replica of the server"},
	{"unit/info.tcl", `"info" "external:skip"`, `"info"`, 1, reachable},
	{"support/server.tcl", "        r config set $param $val\n\n", "        r config set $param $val\n        if {$param == \"requirepass\"} {reconnect}\n\n", 1,
		"a client that is connected when a password is set stays logged in; these tests want one that is not"},
	{"unit/type/hash.tcl", `r config set hash-max-`, `list hash-max-`, 7,
		"how Redis keeps small hashes in memory is no setting here, and the rest of the unit does not depend on it"},
	{"unit/scripting.tcl", `foreach is_eval {0 1}`, `foreach is_eval {1}`, 1,
		"the unit runs twice, by EVAL and as functions (FUNCTION LOAD), which are not supported"},
}

func (p *patch) apply(root string) error {
	path := filepath.Join(root, "tests", p.file)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(b)
	if n := strings.Count(text, p.old); n != p.times {
		return fmt.Errorf("%s has %q %d times, not %d", p.file, p.old, n, p.times)
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(text, p.old, p.new)), 0o644)
}

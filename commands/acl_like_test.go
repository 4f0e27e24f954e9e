package commands

import (
	"strings"
	"testing"
	"time"

	"kahuna/commands/scripttest"
)

// TestUsersLikeRedis plays the script about users on a real Redis and here. Redis 7.0 shows several rules about commands in no
// certain order, so where there are some, only what they come to is compared.
func TestUsersLikeRedis(t *testing.T) {
	steps := scripttest.Load(t, "testdata/acl.script")
	for _, proto := range []string{"2", "3"} {
		t.Run("RESP"+proto, func(t *testing.T) {
			redis := scripttest.Dial(t, scripttest.Redis(t))
			docs := &fakeDocuments{}
			h := NewHandler(Options{Backend: newFake(time.Now), Users: UserOptions{Documents: docs}, Now: time.Now, Rand: newRig(Limits{}).random})
			docs.add(h)
			c := &client{s: h.Open(Conn{ID: 1})}
			here := func(args []string) (string, error) {
				if reply := c.send(args); wellFormed(reply, 1) {
					return reply, nil
				}
				return "", errNotOneReply
			}
			if proto == "3" {
				steps = append([]scripttest.Step{{Args: []string{"HELLO", "3"}, Mark: "any"}}, steps...)
			}
			if n := scripttest.Compare(t, steps, redis, here); n < 150 {
				t.Errorf("only %d commands were compared", n)
			}
		})
	}
}

// TestCategoriesLikeRedis sees that shared commands are in Redis's categories, so that rules mean the same.
func TestCategoriesLikeRedis(t *testing.T) {
	redis := scripttest.Dial(t, scripttest.Redis(t))
	h := newRig(Limits{}).Handler
	for _, category := range h.catalog.Categories() {
		reply, err := redis([]string{"ACL", "CAT", category})
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[string]bool{}
		for _, word := range strings.Split(reply, "\r\n") {
			theirs[word] = true
		}
		ours := map[string]bool{}
		for _, name := range h.catalog.InCategory(category) {
			ours[name] = true
		}
		for _, row := range h.table.sorted {
			for _, c := range append([]Command{*row}, row.Sub...) {
				if c.container() {
					continue // what can't be executed by itself
				}
				if name := c.fullName(); c.Since != "" && known(t, redis, name) && ours[name] != theirs[name] {
					t.Errorf("%s is in @%s: %v, in Redis: %v", name, category, ours[name], theirs[name])
				}
			}
		}
	}
}

func known(t *testing.T, redis scripttest.Call, name string) bool {
	reply, err := redis([]string{"COMMAND", "INFO", name})
	if err != nil {
		t.Fatal(err)
	}
	return !strings.HasPrefix(reply, "*1\r\n*-1") && !strings.HasPrefix(reply, "*1\r\n$-1")
}

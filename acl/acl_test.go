package acl

import (
	"slices"
	"strings"
	"testing"
)

func testCatalog() *Catalog {
	return NewCatalog([]string{"read", "write", "fast", "slow", "admin"}, []Command{
		{Name: "get", Categories: []string{"read", "fast"}},
		{Name: "set", Categories: []string{"write", "slow"}},
		{Name: "select", Categories: []string{"fast"}},
		{Name: "config", Categories: []string{"slow"}, Sub: []Command{
			{Name: "get", Categories: []string{"admin", "slow"}}, {Name: "help", Categories: []string{"slow"}},
		}},
		{Name: "publish", Categories: []string{"fast"}},
	})
}

func made(t *testing.T, rules string) *User {
	t.Helper()
	u, err := NewUser(testCatalog(), "u").Apply(strings.Split(rules, " "))
	if err != nil {
		t.Fatalf("%s: %v", rules, err)
	}
	return u
}

// TestRules shows what rules come to as text, and that the text makes the same user.
func TestRules(t *testing.T) {
	for _, c := range []struct{ rules, want string }{
		{"", "off resetchannels -@all"},
		{"ON nopass ~* &* +@all", "on nopass ~* &* +@all"},
		{"on >a nopass", "on nopass resetchannels -@all"},
		{"nopass #" + strings.Repeat("0", 64), "off #" + strings.Repeat("0", 64) + " resetchannels -@all"},
		{"~a %R~b %w~b %rw~c %R~d", "off ~a ~b ~c %R~d resetchannels -@all"},
		{"%R~* %W~* &a &b &a", "off ~* resetchannels &a &b -@all"},
		{"allkeys allchannels allcommands", "off ~* &* +@all"},
		{"~a allkeys resetkeys ~b", "off ~b resetchannels -@all"},
		{"+GET -get +Config|Get", "off resetchannels -@all -get +config|get"},
		{"+config|get +config|help -config", "off resetchannels -@all -config"},
		{"+@read -get +@read", "off resetchannels -@all -get +@read"},
		{"+@all -@admin +select|0", "off resetchannels +@all -@admin +select|0"},
		{"+select|0 +select|1 +select", "off resetchannels -@all +select"},
		{"(%R~a +get)", "off resetchannels -@all (%R~a resetchannels -@all +get)"},
		{"+get (~a +set ) ()", "off resetchannels -@all +get (~a resetchannels -@all +set) (resetchannels -@all)"},
		{"on ~a +get (~b) reset", "off sanitize-payload resetchannels -@all"},
		{"(~b) clearselectors skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
	} {
		u := made(t, c.rules)
		if u.Rules() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.rules, u.Rules(), c.want)
		}
		again, err := Parse(testCatalog(), "u", u.Rules())
		if err != nil || again.Rules() != u.Rules() {
			t.Errorf("%s: read back as %v, %v", u.Rules(), again, err)
		}
	}
}

func TestRefusedRules(t *testing.T) {
	for _, c := range []struct {
		rules string
		want  error
	}{
		{"nosuch", errSyntax}, {"+nosuch", errUnknown}, {"-select|0", errUnknown}, {"+@nosuch", errUnknown}, {"+config|nosuch", errUnknown},
		{"+config|get|x", errSubArg}, {"+get|", errSyntax}, {"%X~a", errSyntax}, {"%~a", errSyntax}, {"%RR~a", errSyntax},
		{"~* ~a", errAllKeys}, {"&* &a", errAllChans}, {"#00", errDigest}, {"#" + strings.Repeat("G", 64), errDigest}, {"<nosuch", errNoPassword},
		{"~a\tb", errSyntax}, {"&a\x00", errSyntax}, {"((~a)", errSyntax}, {"(~a) +get)", errSyntax},
	} {
		rules := []string{c.rules}
		if before, after, two := strings.Cut(c.rules, " "); two && c.rules[0] != '(' {
			rules = []string{before, after}
		}
		_, err := NewUser(testCatalog(), "u").Apply(rules)
		if e, ok := err.(*RuleError); !ok || e.Err != c.want {
			t.Errorf("%q: %v, want %v", c.rules, err, c.want)
		}
	}
	if _, err := NewUser(testCatalog(), "u").Apply([]string{"on", "(~a", "+get"}); err == nil || !strings.HasSuffix(err.Error(), "starting at '(~a'.") {
		t.Error(err)
	}
	_, err := NewUser(testCatalog(), "u").Apply([]string{"<secret"})
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
	if _, err := NewUser(testCatalog(), "u").Apply([]string{"~" + strings.Repeat("a", RulesBytesMax)}); err == nil {
		t.Error("a user without bounds")
	}
}

// TestApplyLeavesTheOther: who holds a user goes on seeing what it was.
func TestApplyLeavesTheOther(t *testing.T) {
	u := made(t, "on >a ~a &a +select|0 +get (~b +set)")
	before := u.Rules()
	if _, err := u.Apply([]string{">b", "%R~c", "&c", "+select|1", "-get", "+@all", "(~d)", "clearselectors"}); err != nil {
		t.Fatal(err)
	}
	if u.describe() != before || u.Authenticate([]byte("b")) || !u.root.allows(0, nil) {
		t.Errorf("it was changed: %s, was %s", u.describe(), before)
	}
}

func TestCheck(t *testing.T) {
	c := testCatalog()
	for _, x := range []struct {
		rules, command, first string
		keys                  []Key
		channels              []Channel
		want                  Denied
		at                    int
	}{
		{rules: "+@all ~* &*", command: "get"},
		{rules: "+get", command: "get"},
		{rules: "+get", command: "set", want: ByCommand},
		{rules: "+@all -config", command: "config|get", want: ByCommand},
		{rules: "+config|get", command: "config|get"},
		{rules: "+config|get", command: "config|help", want: ByCommand},
		{rules: "+@admin", command: "config|get"},
		{rules: "+@slow -@admin", command: "config|help"},
		{rules: "+@slow -@admin", command: "config|get", want: ByCommand},
		{rules: "+select|abc", command: "select", first: "ABC"},
		{rules: "+select|k", command: "select", first: "\u212a", want: ByCommand}, // the Kelvin sign
		{rules: "+select|0", command: "select", first: "1", want: ByCommand},
		{rules: "+select|0", command: "select", want: ByCommand},
		{rules: "+@all", command: "get", keys: []Key{{Name: []byte("a"), At: 1}}, want: ByKey, at: 1},
		{rules: "+@all ~a* ~b", command: "get", keys: []Key{{Name: []byte("abc"), Need: Read | Write}, {Name: []byte("b"), Need: Read | Write}}},
		{rules: "+@all ~a*", command: "get", keys: []Key{{Name: []byte("a")}, {Name: []byte("b"), At: 2}}, want: ByKey, at: 2},
		{rules: "+@all %R~a", command: "get", keys: []Key{{Name: []byte("a"), Need: Read}}},
		{rules: "+@all %R~a", command: "get", keys: []Key{{Name: []byte("a"), Need: Write, At: 1}}, want: ByKey, at: 1},
		{rules: "+@all %R~a*  %W~*a", command: "get", keys: []Key{{Name: []byte("a"), Need: Write | Read, At: 1}}, want: ByKey, at: 1},
		{rules: "+@all %W~a", command: "get", keys: []Key{{Name: []byte("a")}}},
		{rules: "+@all ~a:*", command: "get", keys: []Key{{Name: []byte("a:b"), Span: true}}},
		{rules: "+@all ~a:*", command: "get", keys: []Key{{Name: []byte("a"), Span: true, At: 1}}, want: ByKey, at: 1},
		{rules: "+@all ~a:b", command: "get", keys: []Key{{Name: []byte("a:b"), Span: true, At: 1}}, want: ByKey, at: 1},
		{rules: "+@all ~a?*", command: "get", keys: []Key{{Name: []byte("a?"), Span: true, At: 1}}, want: ByKey, at: 1},
		{rules: "+@all &c*", command: "publish", channels: []Channel{{Name: []byte("c1")}}},
		{rules: "+@all &c*", command: "publish", channels: []Channel{{Name: []byte("d"), At: 1}}, want: ByChannel, at: 1},
		{rules: "+@all &c*", command: "publish", channels: []Channel{{Name: []byte("c*"), Pattern: true}}},
		{rules: "+@all &c*", command: "publish", channels: []Channel{{Name: []byte("c1"), Pattern: true, At: 1}}, want: ByChannel, at: 1},
		{rules: "+set (~a +get)", command: "get", keys: []Key{{Name: []byte("a")}}},
		{rules: "+set ~b (~a +get)", command: "get", keys: []Key{{Name: []byte("b"), At: 1}}, want: ByKey, at: 1},
	} {
		u := made(t, x.rules)
		id, ok := c.Number(x.command)
		if !ok {
			t.Fatal(x.command)
		}
		var first []byte
		if x.first != "" {
			first = []byte(x.first)
		}
		why, at := u.Check(&Request{Command: id, First: first, Keys: x.keys, Channels: x.channels})
		if why != x.want || at != x.at {
			t.Errorf("%s: %s %s: %d at %d, want %d at %d", x.rules, x.command, x.first, why, at, x.want, x.at)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	u := made(t, "on >one >two")
	for password, want := range map[string]bool{"one": true, "two": true, "": false, "three": false, "onetwo": false} {
		if u.Authenticate([]byte(password)) != want {
			t.Error(password)
		}
	}
	if made(t, ">one").Authenticate([]byte("one")) {
		t.Error("a user that is off was let in")
	}
	if !made(t, "on nopass").Authenticate([]byte("any")) {
		t.Error("nopass")
	}
	if made(t, "on >one <one").Authenticate([]byte("one")) {
		t.Error("a removed password")
	}
	var none *User
	if none.Authenticate([]byte("one")) || made(t, "on").Authenticate(nil) {
		t.Error("nobody was let in")
	}
}

// TestUsers: who holds a user's place sees each change, and its end.
func TestUsers(t *testing.T) {
	c := testCatalog()
	users := NewUsers(Everybody(c, Default))
	_, changed := users.Version("a")
	gone, errs := users.Replace([]Document{{"a", "on nopass +get", 7, 1}, {"bad", "zz", 1, 2}})
	<-changed
	if len(gone) != 0 || len(errs) != 1 || users.Get("bad").User().Enabled() {
		t.Fatal(gone, errs)
	}
	a := users.Get("a")
	if v, _ := users.Version("a"); v != 1 || a.User().Rules() != "on nopass resetchannels -@all +get" {
		t.Fatal(v, a.User().Rules())
	}
	users.Replace([]Document{{"a", "off", 7, 3}, {"default", "on >x", 9, 4}})
	if a.User().Enabled() || users.Default().User().Open() || !slices.Equal(users.Names(), []string{"a", "default"}) {
		t.Error("the change does not show")
	}
	users.Replace([]Document{{"a", "zz", 7, 5}})
	if a.User().Rules() != "off resetchannels -@all" || !users.Default().User().Open() {
		t.Error("damaged rules changed something, or the default user did not return")
	}
	gone, _ = users.Replace([]Document{{"a", "on", 8, 6}})
	if len(gone) != 1 || gone[0] != a || a.User() != nil || a.Name() != "a" || !users.Get("a").User().Enabled() {
		t.Error("a user that was made again is not the one that was")
	}
	gone, _ = users.Replace(nil)
	if len(gone) != 1 || users.Get("a") != nil || users.Default().User() == nil {
		t.Error(gone)
	}
}

func FuzzRules(f *testing.F) {
	for _, seed := range []string{"on >a ~a* %R~b &c +@read -get", "(~a +get) ( +set ) +select|0 +select|1", "+@all -config|get reset", "%RW~* ~\xff\xc2\xa0 +\x80|\x80"} {
		f.Add(seed)
	}
	c := testCatalog()
	f.Fuzz(func(t *testing.T, text string) {
		u, err := NewUser(c, "u").Apply(strings.Split(text, " "))
		if err != nil {
			return
		}
		again, err := Parse(c, "u", u.Rules())
		if err != nil || again.Rules() != u.Rules() {
			t.Fatalf("%q comes back as %v: %v", u.Rules(), again, err)
		}
		for id := range c.all {
			r := Request{Command: id, First: []byte("0"), Keys: []Key{{Name: []byte("a"), Need: Read}}}
			w1, _ := u.Check(&r)
			if w2, _ := again.Check(&r); w1 != w2 {
				t.Fatalf("%q: %s was %d, is %d", u.Rules(), c.all[id].name, w1, w2)
			}
		}
	})
}

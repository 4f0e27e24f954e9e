package commands

import (
	"container/list"
	"context"
	"sync"
	"time"

	"kahuna/script"
)

// ScriptStore keeps the texts of scripts for all nodes.
type ScriptStore interface {
	// Save keeps a script, and drops old ones when there are too many.
	Save(ctx context.Context, sha, body string) error
	// Load gives a script that any node has saved.
	Load(ctx context.Context, sha string) (body string, found bool, err error)
	// Flush drops all scripts.
	Flush(ctx context.Context) error
	// Generation rises with each Flush, of any node, that this node has heard of. It does not wait.
	Generation() uint64
}

// ScriptOptions are what scripts need. The zero value has the default limits, and no other nodes.
type ScriptOptions struct {
	Limits     script.Limits
	Version    string                       // of Redis, for redis.REDIS_VERSION: three numbers with dots
	Store      ScriptStore                  // nil: scripts are known to this node only
	CacheBytes int                          // of compiled scripts on this node, 0: 16 MiB
	Log        func(level int, line string) // takes lines of redis.log, from level 0 (debug) to 3 (warning); may be nil
}

// scriptsMax is how many compiled scripts a node holds.
const scriptsMax = 10_000

func (c *scripts) init(o Options) {
	c.engine = script.New(script.Options{Limits: o.Scripts.Limits, Now: o.Now, Rand: o.Rand, Version: o.Scripts.Version})
	c.store, c.log, c.now = o.Scripts.Store, o.Scripts.Log, o.Now
	c.bySHA, c.tokens, c.refilled = map[string]*list.Element{}, savesPerSecond, o.Now()
	if c.bytesMax = o.Scripts.CacheBytes; c.bytesMax == 0 {
		c.bytesMax = 16 << 20
	}
}

// scripts are the scripts that this node has compiled, and the way to those of the others. The least recently used go when there
// are too many. Its lock is never held across anything that waits.
type scripts struct {
	engine *script.Engine
	store  ScriptStore // nil: no other nodes
	log    func(level int, line string)
	now    func() time.Time

	mu         sync.Mutex
	bySHA      map[string]*list.Element // of *cached
	used       list.List                // most recently used first
	bytes      int
	generation uint64
	tokens     float64 // saves that EVAL may still ask for
	refilled   time.Time
	bytesMax   int
}

type cached struct {
	script *script.Script
	saved  bool // the store has it, or has been asked to take it
}

// savesPerSecond bounds how often EVAL makes the store write: clients that build a new text for each call would have it write
// each time. A script that was not saved is not found by EVALSHA on other nodes, whereupon clients send EVAL.
const savesPerSecond = 20

// get finds a compiled script.
func (c *scripts) get(sha string) *script.Script {
	var generation uint64
	if c.store != nil {
		generation = c.store.Generation()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation > c.generation { // another node has flushed
		c.generation = generation
		c.drop()
	}
	e := c.bySHA[sha]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*cached).script
}

func (c *scripts) drop() {
	c.bySHA, c.bytes = map[string]*list.Element{}, 0
	c.used.Init()
}

// put takes a compiled script in.
func (c *scripts) put(s *script.Script, saved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.bySHA[s.SHA]; e != nil {
		e.Value.(*cached).saved = e.Value.(*cached).saved || saved
		return
	}
	c.bySHA[s.SHA] = c.used.PushFront(&cached{s, saved})
	c.bytes += s.Size()
	for c.bytes > c.bytesMax && c.used.Len() > 1 || c.used.Len() > scriptsMax {
		last := c.used.Back()
		old := c.used.Remove(last).(*cached).script
		delete(c.bySHA, old.SHA)
		c.bytes -= old.Size()
	}
}

// compiled gives the script with a text.
func (c *scripts) compiled(body string) (*script.Script, error) {
	if s := c.get(script.SHA(body)); s != nil {
		return s, nil
	}
	s, err := c.engine.Compile(body)
	if err != nil {
		return nil, userError(err.Error())
	}
	c.put(s, false)
	return s, nil
}

// find gives the script with a name, from this node or from the store.
func (c *scripts) find(ctx context.Context, sha string) (*script.Script, error) {
	if s := c.get(sha); s != nil {
		return s, nil
	}
	if c.store == nil {
		return nil, userError(errNoScript)
	}
	body, found, err := c.store.Load(ctx, sha)
	switch {
	case err != nil:
		return nil, err
	case !found || script.SHA(body) != sha:
		return nil, userError(errNoScript)
	}
	s, err := c.engine.Compile(body)
	if err != nil {
		return nil, userError(err.Error())
	}
	c.put(s, true)
	return s, nil
}

// toSave tells whether the store is to be asked to take a script that was run, and notes that it is.
func (c *scripts) toSave(sha string) bool {
	if c.store == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.bySHA[sha]
	if e == nil || e.Value.(*cached).saved {
		return false
	}
	now := c.now()
	c.tokens = min(c.tokens+now.Sub(c.refilled).Seconds()*savesPerSecond, savesPerSecond)
	c.refilled = now
	if c.tokens < 1 {
		return false
	}
	c.tokens--
	e.Value.(*cached).saved = true
	return true
}

// unsaved notes that the store did not take a script.
func (c *scripts) unsaved(sha string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.bySHA[sha]; e != nil {
		e.Value.(*cached).saved = false
	}
}

// load takes a script in, here and in the store.
func (c *scripts) load(ctx context.Context, body string) (*script.Script, error) {
	s, err := c.compiled(body)
	if err != nil || c.store == nil {
		return s, err
	}
	if err := c.store.Save(ctx, s.SHA, body); err != nil {
		return nil, err
	}
	c.put(s, true)
	return s, nil
}

// exists tells whether find would find a script.
func (c *scripts) exists(ctx context.Context, sha string) (bool, error) {
	if c.get(sha) != nil {
		return true, nil
	}
	if c.store == nil {
		return false, nil
	}
	_, found, err := c.store.Load(ctx, sha)
	return found, err
}

// flush drops all scripts, here and in the store.
func (c *scripts) flush(ctx context.Context) error {
	if c.store != nil {
		if err := c.store.Flush(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	return nil
}

// counts are the scripts that are held and about how much memory they take.
func (c *scripts) counts() (n, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used.Len(), c.bytes
}

package simnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers with what it got, and counts.
type echo struct {
	calls, streams atomic.Int32
	ended          atomic.Pointer[error] // what the last stream ended with
	hold           chan struct{}         // if set, calls wait for it or their context
}

func (e *echo) HandleCall(ctx context.Context, request []byte) ([]byte, error) {
	e.calls.Add(1)
	if e.hold != nil {
		select {
		case <-e.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if string(request) == "fail" {
		return nil, errors.New("handler failed")
	}
	request[0] = '<' // it owns its copy
	return request, nil
}

func (e *echo) HandleStream(_ context.Context, request []byte, body io.Reader) ([]byte, error) {
	e.streams.Add(1)
	if string(request) == "early" {
		return []byte("early"), nil
	}
	data, err := io.ReadAll(body)
	e.ended.Store(&err)
	return data, err
}

type pair struct {
	*Net
	a, b *Node
	echo *echo // of b
}

func inPair(t *testing.T, f func(t *testing.T, p *pair)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pair{Net: New(7), echo: &echo{}}
		p.a, p.b = p.Node("a"), p.Node("b")
		p.a.Serve(&echo{})
		p.b.Serve(p.echo)
		f(t, p)
		p.Close()
	})
}

func (p *pair) call(timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.a.Call(ctx, "b", []byte("\x01hello"))
}

func (p *pair) stream(body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return p.a.Stream(ctx, "b", []byte("s"), body)
}

func TestCallAndStream(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		request := []byte("hello")
		got, err := p.a.Call(t.Context(), "b", request)
		if err != nil || string(got) != "<ello" || string(request) != "hello" {
			t.Errorf("%q, %v, request %q", got, err, request)
		}
		if _, err := p.a.Call(t.Context(), "b", []byte("fail")); err == nil || err.Error() != "handler failed" {
			t.Error(err)
		}
		data := bytes.Repeat([]byte("x"), 3*chunkBytes+1)
		if got, err := p.stream(bytes.NewReader(data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if got, err := p.a.Stream(t.Context(), "b", []byte("early"), bytes.NewReader(data)); err != nil || string(got) != "early" {
			t.Errorf("%q, %v", got, err)
		}
		if p.a.LocalAddr() != "a" || p.Counters() != (Counters{Calls: 2, Streams: 2}) {
			t.Errorf("%+v", p.Counters())
		}
	})
}

func TestCutLosesRequestsOneWayAndAnswersTheOther(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		for _, c := range []struct {
			cut    func()
			ok     bool
			called int32
		}{
			{func() { p.Cut("a", "b") }, false, 0},
			{func() { p.Cut("b", "a") }, false, 1},
			{func() { p.CutBoth("b", "a") }, false, 0},
			{func() { p.Isolate("b") }, false, 0},
			{func() { p.Partition([]string{"a"}, []string{"b"}) }, false, 0},
			{func() { p.Partition([]string{"a", "b"}, []string{"c"}) }, true, 1},
		} {
			p.echo.calls.Store(0)
			c.cut()
			start := time.Now()
			_, err := p.call(time.Second)
			if (err == nil) != c.ok || p.echo.calls.Load() != c.called || !c.ok && time.Since(start) != time.Second {
				t.Errorf("%v after %v, %d calls", err, time.Since(start), p.echo.calls.Load())
			}
			p.Heal()
			if _, err := p.call(time.Second); err != nil {
				t.Error("not healed: ", err)
			}
		}
		if got := p.Counters(); got.Lost != 4 || got.AnswersLost != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestChancesBite(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		const n = 1000
		p.SetFaults(Faults{Loss: 0.1, AnswerLoss: 0.1, Duplicate: 0.1, DelayMax: 10 * time.Millisecond})
		failed := 0
		for range n {
			if _, err := p.call(100 * time.Millisecond); err != nil {
				failed++
			}
		}
		time.Sleep(lateMax + time.Second)
		got := p.Counters()
		for name, count := range map[string]int{"lost": got.Lost, "answers lost": got.AnswersLost, "duplicated": got.Duplicated} {
			if count < n/20 || count > n/5 {
				t.Errorf("%s: %d of %d", name, count, n)
			}
		}
		if failed != got.Lost+got.AnswersLost || int(p.echo.calls.Load()) != n-got.Lost+got.Duplicated || got.Delayed < n {
			t.Errorf("%d failed, %d handled, %+v", failed, p.echo.calls.Load(), got)
		}
	})
}

func TestStreamsBreakInTheMiddle(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		p.SetFaults(Faults{StreamCut: 1})
		ends, failures := 0, 0
		for range 100 {
			if _, err := p.stream(bytes.NewReader(make([]byte, 1<<cutOffsetMax))); !errors.Is(err, ErrReset) {
				t.Fatal(err)
			}
			if *p.echo.ended.Load() == nil {
				ends++
			} else {
				failures++
			}
		}
		if p.Counters().StreamsCut != 100 || ends == 0 || failures == 0 {
			t.Errorf("%+v, %d looked like an end, %d like an error", p.Counters(), ends, failures)
		}
	})
}

func TestStreamThatIsCutOffStandsStill(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		start := time.Now()
		_, err := p.stream(io.MultiReader(strings.NewReader("x"), cutting{p}))
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute || *p.echo.ended.Load() == nil {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// cutting cuts the way while it is read.
type cutting struct{ p *pair }

func (c cutting) Read(b []byte) (int, error) {
	c.p.Cut("a", "b")
	return len(b), nil
}

func TestErrorOfTheBodyReachesBothEnds(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		failure := errors.New("disk")
		if _, err := p.stream(io.MultiReader(strings.NewReader("x"), failing{failure})); err != failure {
			t.Error(err)
		}
		synctest.Wait()
		if *p.echo.ended.Load() == nil {
			t.Error("the receiver saw an end")
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestNodeThatIsDown(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		p.echo.hold = make(chan struct{})
		broken := make(chan error, 1)
		go func() { _, err := p.call(time.Minute); broken <- err }()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		start := time.Now()
		p.Down("b")
		if err := <-broken; !errors.Is(err, ErrReset) {
			t.Error("a call under way: ", err)
		}
		if _, err := p.call(time.Minute); !errors.Is(err, ErrDown) {
			t.Error("a call to it: ", err)
		}
		if _, err := p.b.Call(t.Context(), "a", []byte("x")); !errors.Is(err, ErrDown) {
			t.Error("a call of it: ", err)
		}
		if time.Since(start) > time.Second || p.Counters().Refused != 1 {
			t.Errorf("%v, %+v", time.Since(start), p.Counters())
		}
		close(p.echo.hold)
		p.Up("b")
		if _, err := p.call(time.Minute); err != nil {
			t.Error("up again: ", err)
		}
	})
}

func TestNodeThatIsMadeAgainTakesThePlaceOfTheOldOne(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		fresh := &echo{}
		again := p.Node("b")
		if _, err := p.call(time.Second); !errors.Is(err, ErrDown) {
			t.Error("nobody serves yet: ", err)
		}
		again.Serve(fresh)
		if _, err := p.call(time.Second); err != nil || fresh.calls.Load() != 1 || p.echo.calls.Load() != 0 {
			t.Error(err)
		}
		if _, err := p.b.Call(t.Context(), "a", []byte("x")); !errors.Is(err, ErrDown) {
			t.Error("the old one still calls: ", err)
		}
	})
}

func TestCloseJoinsHandlersAndEndsCalls(t *testing.T) {
	inPair(t, func(t *testing.T, p *pair) {
		p.echo.hold = make(chan struct{})
		p.SetFaults(Faults{Duplicate: 1})
		ended := make(chan error, 1)
		go func() { _, err := p.a.Call(context.Background(), "b", []byte("\x01x")); ended <- err }()
		time.Sleep(lateMax)
		if p.echo.calls.Load() != 2 {
			t.Error("the duplicate is not there yet")
		}
		p.Close()
		if err := <-ended; err == nil {
			t.Error("succeeded")
		}
		if _, err := p.call(time.Minute); err == nil {
			t.Error("succeeded after Close")
		}
	})
}

func TestSameSeedSameFate(t *testing.T) {
	run := func(seed uint64) (fates []fate) {
		n := New(seed)
		defer n.Close()
		n.SetFaults(Faults{Loss: 0.3, Duplicate: 0.3, StreamCut: 0.3, DelayMax: time.Second})
		for i := range 100 {
			fates = append(fates, n.draw("a", "b", i%3 == 0))
		}
		return fates
	}
	same, other := 0, run(2)
	for i, f := range run(1) {
		if f != run(1)[i] {
			t.Fatal("not the same")
		}
		if f == other[i] {
			same++
		}
	}
	if same > 10 {
		t.Errorf("the seed does not matter: %d the same", same)
	}
}

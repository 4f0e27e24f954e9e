package raftgroup

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/raft"
)

func framed(t *testing.T, data []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(newFrameWriter(iotest.HalfReader(bytes.NewReader(data))))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func someBytes(n int) []byte {
	rng, b := rand.New(rand.NewPCG(1, uint64(n))), make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestFramesGiveBackTheData(t *testing.T) {
	for _, n := range []int{0, 1, frameDataMax - 1, frameDataMax, frameDataMax + 1, 3*frameDataMax + 17} {
		data := someBytes(n)
		var got bytes.Buffer
		if err := copyFrames(&got, iotest.OneByteReader(bytes.NewReader(framed(t, data)))); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestStreamCutAnywhereIsAnError(t *testing.T) {
	whole := framed(t, someBytes(frameDataMax+100))
	for n := range whole {
		if n > 50 && n < frameDataMax || n > frameDataMax+40 && n < len(whole)-50 {
			continue // the middle of a frame is like any other
		}
		if err := copyFrames(io.Discard, bytes.NewReader(whole[:n])); !errors.Is(err, errStreamCut) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestStreamWithAnyBitFlippedIsAnError(t *testing.T) {
	whole := framed(t, someBytes(200))
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if err := copyFrames(io.Discard, bytes.NewReader(b)); err == nil {
				t.Errorf("bit %d of byte %d: no error", bit, i)
			}
		}
	}
}

func TestStreamWithAFrameMissingOrBytesBehindIsAnError(t *testing.T) {
	whole := framed(t, someBytes(2*frameDataMax))
	frame := frameHeaderBytes + frameDataMax
	for name, b := range map[string][]byte{
		"a frame missing": whole[frame:],
		"a frame twice":   append(bytes.Clone(whole[:frame]), whole...),
		"bytes behind":    append(bytes.Clone(whole), 0),
	} {
		if err := copyFrames(io.Discard, bytes.NewReader(b)); !errors.Is(err, errStreamDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorOfTheSourceEndsTheStreamWithoutAnEnd(t *testing.T) {
	failure := errors.New("disk")
	b, err := io.ReadAll(newFrameWriter(io.MultiReader(bytes.NewReader(someBytes(frameDataMax+5)), iotest.ErrReader(failure))))
	if err != failure {
		t.Fatal(err)
	}
	if err := copyFrames(io.Discard, bytes.NewReader(b)); !errors.Is(err, errStreamCut) {
		t.Error(err)
	}
}

func TestSizeIsKnownAtTheEndOnly(t *testing.T) {
	req := &raft.InstallSnapshotRequest{Size: -1}
	r := &sizedReader{src: bytes.NewReader(someBytes(1000)), req: req}
	if _, err := io.CopyN(io.Discard, r, 1000); err != nil || req.Size != -1 {
		t.Fatal(err, req.Size)
	}
	if _, err := io.Copy(io.Discard, r); err != nil || req.Size != 1000 {
		t.Error(err, req.Size)
	}
}

func FuzzCopyFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got bytes.Buffer
		if copyFrames(&got, bytes.NewReader(b)) != nil {
			return
		}
		if again, _ := io.ReadAll(newFrameWriter(bytes.NewReader(got.Bytes()))); len(got.Bytes()) <= frameDataMax && len(again) > len(b) {
			t.Errorf("%d bytes accepted from %d", got.Len(), len(b))
		}
	})
}

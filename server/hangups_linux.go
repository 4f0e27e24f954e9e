package server

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// hangups tells which of many silent connections have been ended by the other side. It costs one goroutine for all of them.
type hangups struct {
	epoll int
	stop  int // an eventfd
	done  chan struct{}
}

// stopID stands for the eventfd; connections are numbered from 1.
const stopID = 0

// openHangups starts to look. gone is called with the ids of connections that have ended, and must not wait.
func openHangups(gone func(id int64)) (*hangups, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	h := &hangups{epoll: epoll, stop: stop, done: make(chan struct{})}
	if err := h.add(stop, unix.EPOLLIN, stopID); err != nil {
		h.release()
		return nil, err
	}
	go h.run(gone)
	return h, nil
}

// add has the epoll tell of a descriptor once. The id travels in the two halves of the event's data.
func (h *hangups) add(fd int, events uint32, id int64) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	return unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, fd, &e)
}

// watch begins to look at a connection. False: it can't be.
func (h *hangups) watch(socket syscall.RawConn, id int64) bool {
	var failed error
	err := socket.Control(func(fd uintptr) { failed = h.add(int(fd), unix.EPOLLRDHUP, id) })
	return err == nil && failed == nil
}

// forget ends that. A connection that was closed is forgotten by itself.
func (h *hangups) forget(socket syscall.RawConn) {
	_ = socket.Control(func(fd uintptr) { _ = unix.EpollCtl(h.epoll, unix.EPOLL_CTL_DEL, int(fd), nil) })
}

func (h *hangups) run(gone func(id int64)) {
	defer close(h.done)
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(h.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return // the descriptor is ours and valid: there is no such error
		}
		for i := range max(n, 0) {
			id := int64(uint32(events[i].Fd)) | int64(events[i].Pad)<<32
			if id == stopID {
				return
			}
			gone(id)
		}
	}
}

// close ends all. No connection is looked at any more.
func (h *hangups) close() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(h.stop, one[:]) // there is room for it
	<-h.done
	h.release()
}

func (h *hangups) release() {
	unix.Close(h.stop)
	unix.Close(h.epoll)
}

package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrNoLoop says that this machine can't make loop devices, or this user may not.
var ErrNoLoop = errors.New("no loop devices")

// Disk is an ext4 file system in a file, mounted through a loop device.
type Disk struct {
	image string
	Mount string // where it is mounted
}

// NewDisk makes and mounts a disk below dir. The error wraps ErrNoLoop when the machine or the user can't.
func NewDisk(dir string, bytes int64) (*Disk, error) {
	d := &Disk{filepath.Join(dir, "disk.img"), filepath.Join(dir, "disk")}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrNoLoop)
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoop, err)
	}
	if err := os.Mkdir(d.Mount, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(bytes), f.Close()); err != nil {
		return nil, err
	}
	if err := sh("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image); err != nil {
		return nil, err
	}
	if err := d.mount(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoop, err)
	}
	return d, nil
}

func (d *Disk) mount() error { return sh("mount", "-o", "loop", d.image, d.Mount) }

// Close unmounts the disk. Nobody may use it any more.
func (d *Disk) Close() error { return sh("umount", d.Mount) }

const (
	ext4Shutdown        = 0x8004587d // EXT4_IOC_SHUTDOWN
	shutdownNoLogFlush  = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	shutdownDescription = "EXT4_IOC_SHUTDOWN"
)

// Cut stops the file system as a power cut does: what was not synced is lost. From then on every access fails.
func (d *Disk) Cut() error {
	fd, err := unix.Open(d.Mount, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetPointerInt(fd, ext4Shutdown, shutdownNoLogFlush); err != nil {
		return fmt.Errorf("%s: %w", shutdownDescription, err)
	}
	return nil
}

// Restore mounts the disk again after a cut, when no process uses it any more; the journal is replayed as after a boot.
func (d *Disk) Restore() error {
	if err := sh("umount", d.Mount); err != nil {
		return err
	}
	return d.mount()
}

const (
	freeze = 0xc0045877 // FIFREEZE
	thaw   = 0xc0045878 // FITHAW
)

// Freeze makes everybody who writes to the disk, or syncs it, wait until Thaw: as on a disk that hangs.
func (d *Disk) Freeze() error { return d.control(freeze, "FIFREEZE") }

// Thaw ends Freeze. It is an error when the disk was not frozen.
func (d *Disk) Thaw() error { return d.control(thaw, "FITHAW") }

func (d *Disk) control(request uint, name string) error {
	fd, err := unix.Open(d.Mount, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, request, 0); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Ballast is the file with which Fill fills a disk.
func (d *Disk) Ballast() string { return filepath.Join(d.Mount, "ballast") }

// Fill fills the disk in one go, save so many bytes. One that has no more than these is left as it is.
func (d *Disk) Fill(leave uint64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(d.Mount, &s); err != nil {
		return err
	}
	free := s.Bavail * uint64(s.Bsize)
	if free <= leave {
		return nil
	}
	f, err := os.OpenFile(d.Ballast(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(free-leave)); err != nil && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	return nil
}

// Empty takes away what Fill has made.
func (d *Disk) Empty() error {
	if err := os.Remove(d.Ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Share mounts a directory over itself such that what is mounted and unmounted below it later is so in the mount namespaces of
// other processes too: one that holds a copy of a mount would keep its file system alive.
func Share(dir string) error {
	if err := sh("mount", "--bind", dir, dir); err != nil {
		return err
	}
	return sh("mount", "--make-shared", dir)
}

// Unmount unmounts what is mounted at dir.
func Unmount(dir string) error { return sh("umount", dir) }

func sh(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

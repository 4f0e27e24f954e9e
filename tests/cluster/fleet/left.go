package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"kahuna/tests/e2e/rig"
)

// clearLeft removes what fleets of processes that were killed have left. Their nodes were ended with their networks.
func clearLeft() {
	dirs, _ := filepath.Glob(filepath.Join(memory(), dirPrefix+"*")) // the pattern is good
	for _, dir := range dirs {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if pid, err := strconv.Atoi(id); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			unmountBelow(dir)
			_ = os.RemoveAll(dir) // what can't be removed is in nobody's way
		}
	}
}

// unmountBelow unmounts all that is mounted at and below a directory.
func unmountBelow(dir string) {
	disks, _ := filepath.Glob(filepath.Join(dir, "n*", "disk")) // the pattern is good
	for _, mount := range disks {
		d := &rig.Disk{Mount: mount}
		_ = d.Thaw()  // an error: it was not frozen
		_ = d.Close() // an error: it was not mounted
	}
	_ = rig.Unmount(dir)
}

package rig

import (
	"os"
	"os/exec"
	"syscall"
)

// bootFile is where the kernel tells its boot id.
const bootFile = "/proc/sys/kernel/random/boot_id"

// command makes the command of a server. With a boot id it runs in a mount namespace of its own, where a file with that id
// lies over the kernel's: the program needs no hook for it.
func command(binary string, args []string, bootID string) (*exec.Cmd, error) {
	if bootID == "" {
		return exec.Command(binary, args...), nil
	}
	f, err := os.CreateTemp("", "boot-id-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.WriteString(bootID + "\n"); err != nil {
		return nil, err
	}
	script := `mount --bind "$1" ` + bootFile + ` && rm "$1" && shift && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", f.Name(), binary}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd, nil
}

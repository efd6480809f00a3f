package wall

import (
	"golang.org/x/sys/unix"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

const (
	reads = ll.AccessFSReadFile | ll.AccessFSReadDir
	// All that a rename moves has to be allowed as if it were made.
	makes = ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSym |
		ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeChar | ll.AccessFSMakeBlock
	removes = ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
)

// rights is what each Access is for the kernel.
var rights = [...]landlock.AccessFSSet{
	Read:   reads,
	Run:    reads | ll.AccessFSExecute,
	Tree:   reads | ll.AccessFSWriteFile | ll.AccessFSTruncate | makes | removes | ll.AccessFSRefer,
	Socket: ll.AccessFSMakeSock | ll.AccessFSRemoveFile,
	Remove: ll.AccessFSRemoveDir,
}

// ABI is the kernel's version of Landlock, 0 where it has none.
func ABI() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

func noNewPrivileges() error {
	return ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// restrict asks for no more than Landlock 7: from 9 on it would also cut the
// process off from the Unix sockets of others, systemd's among them. The
// network stays open: active mode goes to any port.
func restrict(folders []Folder) error {
	rules := make([]landlock.Rule, 0, len(folders)+1)
	for _, f := range folders {
		rules = append(rules, landlock.PathAccess(rights[f.Access], f.Path))
	}
	// A program that is started has it for standard input. Nobody replaces
	// that file.
	rules = append(rules, landlock.PathAccess(ll.AccessFSReadFile|ll.AccessFSWriteFile, "/dev/null").IgnoreIfMissing())
	return landlock.V7.BestEffort().RestrictPaths(rules...)
}

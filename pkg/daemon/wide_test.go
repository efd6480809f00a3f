package daemon

import (
	"testing"

	"ftps/pkg/wall"
)

func TestAFileThatBringsAllOfEtcWithinReachIsWarnedOf(t *testing.T) {
	h := newHost(t)
	d := &Daemon{cfg: h.cfg, log: h.cfg.Log}
	d.warnWide([]wall.Folder{
		{For: "accounts", Path: "/etc"}, {For: "settings", Path: "/etc/ftps"},
		{For: "xferlog", Path: "/var/log"}, {For: "hook", Path: "/etc"},
	})
	lines := h.log.lines()
	if len(lines) != 2 || lines[0]["folder"] != "/etc" || lines[1]["folder"] != "/var/log" {
		t.Errorf("%v", lines)
	}
}

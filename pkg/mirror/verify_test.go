package mirror_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// without are the usual features less one.
func without(name string, more ...string) []string {
	features := slices.DeleteFunc(slices.Clone(hostile.DefaultFeatures), func(f string) bool { return strings.HasPrefix(f, name) })
	return append(features, more...)
}

func TestAWrongHashIsADamagedFile(t *testing.T) {
	wrong := hooks{"HASH": func(s *hostile.Session, arg string) bool {
		s.Reply(213, "SHA-256 0-9 "+strings.Repeat("ab", 32)+" f")
		return true
	}}
	s := hostile.Start(t, hostile.Options{Hooks: wrong})
	s.Put("/f", content(1000), longAgo)
	dir := t.TempDir()
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{}); !errors.Is(err, mirror.ErrHash) || ftpclient.Class(err) != ftpclient.Damaged {
		t.Errorf("Get: %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left %d files", len(left))
	}
	local := filepath.Join(t.TempDir(), "g")
	write(t, local, content(1000), longAgo)
	if _, err := tr.Put(within(t), local, "/g", mirror.Options{}); !errors.Is(err, mirror.ErrHash) {
		t.Errorf("Put: %v", err)
	}
	if _, found := s.File("/g"); found {
		t.Error("what was damaged took the file's place")
	}
	// Who does not ask is not told.
	tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = mirror.VerifySize })
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{}); err != nil || of[mirror.Done](told)[0].Verified != mirror.BySize {
		t.Errorf("by size: %v", err)
	}
}

func TestVerifyHashWantsAHash(t *testing.T) {
	refusing := hooks{"HASH": func(s *hostile.Session, _ string) bool { s.Reply(502, "not here"); return true }}
	for name, o := range map[string]hostile.Options{
		"not announced":         {Features: without("HASH")},
		"announced and refused": {Hooks: refusing},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostile.Start(t, o)
			s.Put("/f", content(1000), longAgo)
			tr, _ := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = mirror.VerifyHash })
			if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); !errors.Is(err, mirror.ErrNoHash) {
				t.Errorf("%v", err)
			}
			tr, told := transfer(t, s, nil)
			if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); err != nil || of[mirror.Done](told)[0].Verified != mirror.BySize {
				t.Errorf("auto: %v", err)
			}
		})
	}
}

func TestAnOldServersHashServesToo(t *testing.T) {
	var s *hostile.Server
	s = hostile.Start(t, hostile.Options{Features: without("HASH", "XMD5"), Hooks: hooks{"XMD5": func(c *hostile.Session, arg string) bool {
		f, _ := s.File(arg)
		c.Reply(250, fmt.Sprintf("%X", md5.Sum(f.Data)))
		return true
	}}})
	s.Put("/f", content(1000), longAgo)
	tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = mirror.VerifyHash })
	if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); err != nil || of[mirror.Done](told)[0].Verified != mirror.ByHash {
		t.Errorf("%v", err)
	}
}

func TestAnUploadShowsUnderItsNameOnlyWhenItIsWhole(t *testing.T) {
	var s *hostile.Server
	var seen atomic.Bool
	s = hostile.Start(t, hostile.Options{Hooks: hooks{"RNFR": func(c *hostile.Session, arg string) bool {
		part, found := s.File(arg)
		old, _ := s.File("/f")
		seen.Store(found && bytes.Equal(part.Data, content(5000)) && string(old.Data) == "old")
		return false
	}}})
	s.Put("/f", []byte("old"), longAgo)
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(5000), longAgo)
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	if f, _ := s.File("/f"); !seen.Load() || !bytes.Equal(f.Data, content(5000)) || !f.Time.Equal(longAgo) {
		t.Errorf("seen whole before: %v; %d bytes of %v", seen.Load(), len(f.Data), f.Time)
	}
	if _, left := s.File("/f.ftps-part"); left {
		t.Error("the other name is still there")
	}
}

func TestWhereNothingCanBeRenamedUploadsGoStraightToTheirPlace(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RNFR": func(c *hostile.Session, _ string) bool {
		c.Reply(550, "permission denied")
		return true
	}}})
	from := t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(from, fmt.Sprint(i)), content(5000+i), longAgo)
	}
	tr, _ := transfer(t, s, func(cfg *mirror.Config) { cfg.Jobs = 1 })
	if _, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if f, _ := s.File(fmt.Sprintf("/up/%d", i)); !bytes.Equal(f.Data, content(5000+i)) {
			t.Errorf("%d differs", i)
		}
		if _, left := s.File(fmt.Sprintf("/up/%d.ftps-part", i)); left {
			t.Errorf("%d: the part is still there", i)
		}
	}
}

func TestAServerThatRenamesOverNoFile(t *testing.T) {
	var s *hostile.Server
	s = hostile.Start(t, hostile.Options{Hooks: hooks{"RNTO": func(c *hostile.Session, arg string) bool {
		if _, there := s.File(arg); there {
			c.Reply(553, "exists")
			return true
		}
		return false
	}}})
	s.Put("/f", []byte("old"), time.Now())
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(5000), longAgo)
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(5000)) {
		t.Error("the old file stayed")
	}
}

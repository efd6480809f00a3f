package ftpclient_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

// oldServer has no MLSD, and answers LIST with lines of a zone of its own.
type oldServer struct {
	zone    time.Duration
	option  bool // knows -a
	mdtm    string
	lists   map[string][]string // by folder: names
	changed time.Time
}

// oldTime is of some days ago, and midnight in no zone.
var oldTime = time.Now().UTC().Truncate(24 * time.Hour).Add(-100*time.Hour + 23*time.Minute + 17*time.Second)

func (o oldServer) start(t *testing.T) *hostile.Server {
	features := []string{"UTF8", "MDTM"}
	folder := ""
	s := hostile.Start(t, hostile.Options{Features: features, Hooks: hooks{
		"CWD": func(_ *hostile.Session, arg string) bool { folder = arg; return false },
		"LIST": func(s *hostile.Session, arg string) bool {
			arg, all := strings.CutPrefix(arg, "-a")
			if all && !o.option {
				s.Reply(550, "-a: no such file")
				return true
			}
			name := strings.TrimSpace(arg)
			if name == "" {
				name = folder
			}
			var b strings.Builder
			if all {
				b.WriteString("drwxr-xr-x 2 o g 1 Jan 1 00:00 .\r\ndrwxr-xr-x 2 o g 1 Jan 1 00:00 ..\r\n")
			}
			for _, file := range o.lists[name] {
				if all || file[0] != '.' {
					fmt.Fprintf(&b, "-rw-r--r-- 1 o g 1 %s %s\r\n", oldTime.Add(o.zone).Format("Jan _2 15:04"), file)
				}
			}
			return listing(t, "LIST", b.String())["LIST"](s, arg)
		},
		"MDTM": func(s *hostile.Session, arg string) bool {
			switch {
			case o.mdtm != "":
				s.Reply(500, o.mdtm)
			case !o.changed.IsZero():
				s.Reply(213, ftp.FormatTime(o.changed))
			default:
				s.Reply(213, ftp.FormatTime(oldTime))
			}
			return true
		},
	}})
	for name := range o.lists {
		if name != "" {
			s.Mkdir("/" + name)
		}
	}
	return s
}

// entries lists a folder that must have no gap.
func entries(t *testing.T, c *ftpclient.Conn, folder string) (names []string, times []time.Time) {
	t.Helper()
	for e, err := range c.List(within(t), folder) {
		if err != nil {
			t.Errorf("%q: %v", folder, err)
			continue
		}
		names, times = append(names, e.Name), append(times, e.ModTime)
	}
	return names, times
}

func sent(s *hostile.Server, verb string) (lines []string) {
	for _, line := range s.Log() {
		if strings.HasPrefix(line, verb) {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTheZoneOfAListingIsFoundByMDTM(t *testing.T) {
	for _, zone := range []time.Duration{0, -4 * time.Hour, 14 * time.Hour, 5*time.Hour + 45*time.Minute, -9*time.Hour - 30*time.Minute} {
		t.Run(zone.String(), func(t *testing.T) {
			s := oldServer{zone: zone, option: true, lists: map[string][]string{"": {"a", "b"}, "two words": {"c"}}}.start(t)
			c := login(t, s, nil)
			for _, folder := range []string{"", "", "two words"} {
				_, times := entries(t, c, folder)
				for _, got := range times {
					if want := oldTime.Truncate(time.Minute); !got.Equal(want) {
						t.Errorf("%q: %v, want %v", folder, got, want)
					}
				}
			}
			if asked := sent(s, "MDTM"); len(asked) != 1 {
				t.Errorf("asked %q", asked)
			}
			inStep(t, c)
		})
	}
}

func TestTheZoneIsFoundInAFolderListedFromWithin(t *testing.T) {
	s := oldServer{zone: 2 * time.Hour, option: true, lists: map[string][]string{"two words": {"c"}}}.start(t)
	c := login(t, s, nil)
	if _, times := entries(t, c, "two words"); len(times) != 1 || !times[0].Equal(oldTime.Truncate(time.Minute)) {
		t.Errorf("times %v", times)
	}
	if asked := sent(s, "MDTM"); !slices.Equal(asked, []string{"MDTM c"}) {
		t.Errorf("asked %q", asked)
	}
	if pwd, err := c.Pwd(within(t)); pwd != "/" || err != nil {
		t.Errorf("the working folder is now %q, %v", pwd, err)
	}
}

func TestAFileThatChangedGivesNoZone(t *testing.T) {
	for name, changed := range map[string]time.Time{
		"by minutes": oldTime.Add(7 * time.Minute), "by days": oldTime.Add(72 * time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			s := oldServer{option: true, changed: changed, lists: map[string][]string{"": {"a"}}}.start(t)
			c := login(t, s, nil)
			if _, times := entries(t, c, ""); len(times) != 1 || !times[0].Equal(oldTime.Truncate(time.Minute)) {
				t.Errorf("times %v", times)
			}
			for range 40 {
				entries(t, c, "")
			}
			if n := len(sent(s, "MDTM")); n != 12 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestAServerWithoutMDTMIsAskedOnce(t *testing.T) {
	s := oldServer{option: true, mdtm: "unknown", zone: time.Hour, lists: map[string][]string{"": {"a", "b"}}}.start(t)
	c := login(t, s, nil)
	entries(t, c, "")
	if _, times := entries(t, c, ""); len(times) != 2 || !times[0].Equal(oldTime.Add(time.Hour).Truncate(time.Minute)) {
		t.Errorf("times %v", times)
	}
	if asked := sent(s, "MDTM"); len(asked) != 1 {
		t.Errorf("asked %q", asked)
	}
}

func TestNamesWithADotAreListedWhereAnOptionAsksForThem(t *testing.T) {
	lists := map[string][]string{"": {"a", ".hidden"}, "d": {".only"}}
	s := oldServer{option: true, lists: lists}.start(t)
	c := login(t, s, nil)
	if names, _ := entries(t, c, ""); !slices.Equal(names, []string{"a", ".hidden"}) {
		t.Errorf("names %q", names)
	}
	if names, _ := entries(t, c, "d"); !slices.Equal(names, []string{".only"}) {
		t.Errorf("names %q", names)
	}
	if asked := sent(s, "LIST"); !slices.Equal(asked, []string{"LIST -a", "LIST -a d"}) {
		t.Errorf("asked %q", asked)
	}
}

func TestAServerThatTakesTheOptionForANameIsAskedWithoutIt(t *testing.T) {
	lists := map[string][]string{"": {"a"}, "d": {"b"}}
	s := oldServer{lists: lists}.start(t)
	c := login(t, s, nil)
	for folder, want := range lists {
		if names, _ := entries(t, c, folder); !slices.Equal(names, want) {
			t.Errorf("%q: names %q", folder, names)
		}
	}
	if asked := sent(s, "LIST"); len(asked) != 3 || !strings.HasPrefix(asked[0], "LIST -a") {
		t.Errorf("asked %q", asked)
	}
}

func TestAnOldListingHoldsTheConnectionUntilItsEnd(t *testing.T) {
	s := oldServer{option: true, lists: map[string][]string{"": {"a", "b"}}}.start(t)
	c := login(t, s, nil)
	for range c.List(within(t), "") {
		if err := c.Noop(within(t)); err != ftpclient.ErrInUse {
			t.Errorf("during the loop: %v", err)
		}
		break
	}
	inStep(t, c)
}

func TestALongOldListingIsNotKeptWhole(t *testing.T) {
	line := "-rw-r--r-- 1 o g 1 " + oldTime.Format("Jan _2 15:04") + " " + strings.Repeat("n", 200) + "%07d\r\n"
	const n = 60_000 // 15 MB
	s := hostile.Start(t, hostile.Options{Features: []string{"UTF8"}, Hooks: hooks{"LIST": func(s *hostile.Session, arg string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		io.WriteString(tc, "drwxr-xr-x 2 o g 1 Jan 1 00:00 .\r\n")
		for i := range n {
			if _, err := fmt.Fprintf(tc, line, i); err != nil {
				t.Error(err)
				break
			}
		}
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
		tc.Close()
		s.Reply(226, "done")
		return true
	}}})
	c := login(t, s, nil)
	if names, _ := entries(t, c, ""); len(names) != n || !strings.HasSuffix(names[n-1], "0059999") {
		t.Errorf("%d names", len(names))
	}
	inStep(t, c)
}

// A connection that ends behind the lines of LIST is lost, and what is told
// is that, not that it is closed by now.
func TestALossBehindAListingIsSaidAsSuch(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Features: []string{"MDTM"}, Hooks: hooks{
		"LIST": func(s *hostile.Session, _ string) bool {
			s.Reply(150, "go")
			tc, _, _, err := s.Data()
			if err != nil {
				t.Error(err)
				return true
			}
			io.WriteString(tc, "-rw-r--r-- 1 0 0 1 Nov 01 10:00 f\r\n")
			tc.CloseWrite()
			io.Copy(io.Discard, tc)
			tc.Close()
			s.Hangup()
			return true
		},
	}})
	if _, err := login(t, s, nil).Stat(within(t), "/f"); !errors.Is(err, ftpclient.ErrLost) {
		t.Errorf("%v", err)
	}
}

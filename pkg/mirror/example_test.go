package mirror_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// demo stands in for the test that a server in an example does not have.
type demo struct {
	testing.TB
	cleanup []func()
}

func (*demo) Helper()            {}
func (*demo) Fatal(args ...any)  { log.Fatal(args...) }
func (d *demo) Cleanup(f func()) { d.cleanup = append(d.cleanup, f) }

func (d *demo) end() {
	for _, f := range d.cleanup {
		f()
	}
}

// Bring a folder here on several connections. Asked again with Resume, what
// is here already does not move.
func Example() {
	d := &demo{}
	defer d.end()
	server := hostile.Start(d, hostile.Options{})
	server.Put("/docs/uno", []byte("1"), time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC))
	server.Put("/docs/más/dos", []byte("22"), time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC))
	local, err := os.MkdirTemp("", "mirror")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(local)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t := mirror.New(mirror.Config{Dial: dial(server), Jobs: 4, Site: "diego@" + server.Addr})
	defer t.Close()
	for range 2 {
		r, err := t.Get(ctx, "/docs", local, mirror.Options{Recursive: true, Resume: true})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Files, "files,", r.Bytes, "bytes moved")
	}
	b, err := os.ReadFile(filepath.Join(local, "docs", "más", "dos"))
	fmt.Printf("%s %v\n", b, err)
	// Output:
	// 2 files, 3 bytes moved
	// 2 files, 0 bytes moved
	// 22 <nil>
}

// A plan can be looked at before anything moves.
func ExampleTransfer_PlanGet() {
	d := &demo{}
	defer d.end()
	server := hostile.Start(d, hostile.Options{})
	server.Put("/docs/uno", []byte("1"), time.Now())
	server.Put("/docs/dos", []byte("22"), time.Now())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t := mirror.New(mirror.Config{Dial: dial(server)})
	defer t.Close()
	plan, err := t.PlanGet(ctx, "/docs", os.TempDir(), mirror.Options{Recursive: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, item := range plan.Files {
		fmt.Println(item.Remote, item.Size)
	}
	fmt.Println("in all", plan.Bytes)
	// Output:
	// /docs/dos 2
	// /docs/uno 1
	// in all 3
}

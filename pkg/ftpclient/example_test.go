package ftpclient_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
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

// Connect, look around, fetch a file. What Read delivers up to io.EOF is the
// whole file: a connection that was cut short ends in another error.
func Example() {
	d := &demo{}
	defer d.end()
	server := hostile.Start(d, hostile.Options{})
	server.Put("/docs/leeme.txt", []byte("hola\n"), time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := ftpclient.Dial(ctx, ftpclient.Config{Address: server.Addr, TLS: server.Client()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(ctx, hostile.User, hostile.Password); err != nil {
		log.Fatal(err)
	}
	for entry, err := range c.List(ctx, "/docs") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Name, entry.Size, entry.ModTime.Format(time.DateOnly))
	}
	file, err := c.Retrieve(ctx, "/docs/leeme.txt", 0)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", content)
	c.Quit(ctx)
	// Output:
	// leeme.txt 5 2024-05-06
	// hola
}

// An upload is stored when Close says so, and not before.
func ExampleConn_Store() {
	d := &demo{}
	defer d.end()
	server := hostile.Start(d, hostile.Options{})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := ftpclient.Dial(ctx, ftpclient.Config{Address: server.Addr, TLS: server.Client()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(ctx, hostile.User, hostile.Password); err != nil {
		log.Fatal(err)
	}
	up, err := c.Store(ctx, "/nota.txt", ftpclient.StoreOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(up, strings.NewReader("hola\n")); err != nil {
		up.Abort()
		log.Fatal(err)
	}
	if err := up.Close(); err != nil {
		log.Fatal(err)
	}
	n, err := c.Size(ctx, "/nota.txt")
	fmt.Println(n, err)
	// Output: 5 <nil>
}

// Class turns any error into the kind of failure that a program acts on.
func ExampleClass() {
	d := &demo{}
	defer d.end()
	server := hostile.Start(d, hostile.Options{})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := ftpclient.Dial(ctx, ftpclient.Config{Address: server.Addr, TLS: server.Client()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	err = c.Login(ctx, hostile.User, "not the password")
	fmt.Println(ftpclient.Class(err) == ftpclient.LoginRefused)
	// Output: true
}

package ftpserver

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
	"ftps/pkg/vfs/memfs"
)

// tape is a data connection that brings some bytes and then ends: in order,
// or cut.
type tape struct {
	net.Conn
	in    []byte
	piece *rand.Rand // how much comes at a time
	end   error
	out   bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, c.end
	}
	n := copy(p, c.in[:1+c.piece.IntN(len(c.in))])
	c.in = c.in[n:]
	return n, nil
}

func (c *tape) Write(p []byte) (int, error) { return c.out.Write(p) }

// FuzzDataStream sends any bytes up, in each mode and type, ended in order or
// cut: what is not whole is never a file, and what the mode itself wrote comes
// back as it was.
func FuzzDataStream(f *testing.F) {
	for mode := range uint8(len(modes)) {
		for _, wire := range []string{"", "hola\r\nmundo\r\n", "\x40\x00\x00", "\x00\x00\x03abc\x40\x00\x00", "\x78\x9c\x03\x00\x00\x00\x00\x01", "\x78\x9c\x4b\xca\x00", "\x20\x00\x01a", "\xff\xff\xff"} {
			f.Add([]byte(wire), mode, false, false, uint64(1))
			f.Add([]byte(wire), mode, true, true, uint64(2))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte, mode uint8, ascii, cut bool, seed uint64) {
		m := &modes[int(mode)%len(modes)]
		sent := &tape{in: wire, piece: rand.New(rand.NewPCG(seed, 0)), end: io.EOF}
		if cut {
			sent.end = layer.ErrTruncated
		}
		tree := memfs.New()
		name := vfs.Name{}.Child("f")
		put := func(src io.Reader) error {
			file, err := tree.Create(t.Context(), name, vfs.How{Size: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer file.Abort()
			if ascii {
				src = ftp.NewASCIIReader(src)
			}
			up := &transfer{direction: event.Upload}
			// A few bytes of zlib are a gigabyte of zeroes.
			if err := up.copyData(file, io.LimitReader(src, 1<<20), errData, nil); err != nil {
				return err
			}
			return file.Commit(t.Context())
		}
		err := put(m.frame(sent).in)
		if err == nil && cut && !m.stays && len(sent.in) == 0 && get(t, tree, name) < 1<<20 {
			t.Fatalf("mode %s: %q, cut, is a whole file", m.letter, wire)
		}
		if err != nil && get(t, tree, name) >= 0 {
			t.Fatalf("mode %s: a file although %v", m.letter, err)
		}
		if err == nil && m.letter != "Z" && get(t, tree, name) > len(wire) {
			t.Fatalf("mode %s: more came out than went in", m.letter)
		}

		back := &tape{piece: rand.New(rand.NewPCG(seed, 1)), end: io.EOF}
		out := m.frame(back)
		if _, err := out.out.Write(wire); err != nil {
			t.Fatal(err)
		}
		if err := out.close(); err != nil {
			t.Fatal(err)
		}
		back.in = back.out.Bytes()
		if got, err := io.ReadAll(m.frame(back).in); err != nil || !bytes.Equal(got, wire) {
			t.Fatalf("mode %s: %q came back as %q, %v", m.letter, wire, got, err)
		}
	})
}

// get returns the length of a file, or -1 where there is none.
func get(t *testing.T, tree vfs.FS, name vfs.Name) int {
	info, err := tree.Stat(context.Background(), name)
	if err != nil {
		return -1
	}
	return int(info.Size)
}

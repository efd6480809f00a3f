package ftp

import (
	"bytes"
	"io"
	"testing"
)

func BenchmarkParseCommand(b *testing.B) {
	line := []byte("RETR some/folder/with/a/file-0000042")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommand(line); err != nil {
			b.Fatal(err)
		}
	}
}

// endlessly says one line again and again.
type endlessly struct {
	text []byte
	rest []byte
}

func (e *endlessly) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = e.text
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func BenchmarkReadLine(b *testing.B) {
	r := NewLineReader(&endlessly{text: []byte("RETR some/folder/with/a/file-0000042\r\n")}, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadLine(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseFactsLine(b *testing.B) {
	line := string(AppendFacts(nil, &full, AllFacts))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseFactsLine(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBlocks writes a file of 4 KiB as MODE B has it and reads it again.
func BenchmarkBlocks(b *testing.B) {
	file := make([]byte, 4<<10)
	var wire bytes.Buffer
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		wire.Reset()
		w := NewBlockWriter(&wire, 0)
		w.Write(file)
		w.Close()
		if n, err := io.Copy(io.Discard, NewBlockReader(&wire)); err != nil || n != int64(len(file)) {
			b.Fatal(n, err)
		}
	}
}

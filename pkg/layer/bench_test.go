package layer

import (
	"io"
	"net"
	"testing"
)

// BenchmarkRecords sends 256 KiB at a time through TLS: each record a write
// of its own, and gathered.
func BenchmarkRecords(b *testing.B) {
	for _, way := range []struct {
		name string
		wrap func(c net.Conn) net.Conn
	}{
		{"bare", func(c net.Conn) net.Conn { return c }},
		{"gathered", func(c net.Conn) net.Conn { return Gather(c, DefaultGather) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			client, server := loopback(b)
			c, s := handshake(b, client, way.wrap(server))
			read := make(chan struct{})
			go func() {
				defer close(read)
				io.Copy(io.Discard, c)
			}()
			chunk := make([]byte, 256<<10)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			s.Close()
			client.Close()
			<-read
		})
	}
}

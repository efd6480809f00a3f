package ftpserver

import (
	"bufio"
	"compress/zlib"
	"errors"
	"io"
	"net"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// frame is what MODE makes of a data connection. in ends in io.EOF only where
// the sender ended the file.
type frame struct {
	in    io.Reader
	out   io.Writer
	close func() error // of what was written to out

	mark func(most int) (string, error) // the marker that in begins with, where the mode has such
}

// transferMode is a MODE and what it makes of the connection.
type transferMode struct {
	letter string
	stays  bool // the data connection outlives the file, whose end the mode itself shows
	frame  func(wire net.Conn) frame
}

// modes are those of RFC 959 §3.4, less compression by run length, which
// nobody speaks, and with zlib (draft-preston-ftpext-deflate), which some do.
var modes = []transferMode{
	{letter: "S", frame: func(wire net.Conn) frame {
		return frame{in: wire, out: wire, close: func() error { return nil }}
	}},
	{letter: "B", stays: true, frame: func(wire net.Conn) frame {
		out := ftp.NewBlockWriter(wire, 0)
		in := ftp.NewBlockReader(wire)
		return frame{in: in, out: out, close: out.Close, mark: in.Mark}
	}},
	{letter: "Z", frame: func(wire net.Conn) frame {
		out := zlib.NewWriter(wire)
		return frame{in: &inflater{wire: bufio.NewReaderSize(wire, listBuffer)}, out: out, close: out.Close}
	}},
}

var errDeflate = errors.New("ftpserver: what was sent is not one zlib stream")

// inflater reads one zlib stream that takes up the whole connection. The
// connection's end is awaited as well: a stream that is cut behind its last
// byte may have lost another.
type inflater struct {
	wire *bufio.Reader
	z    io.ReadCloser
}

func (i *inflater) Read(p []byte) (int, error) {
	if i.z == nil {
		if _, err := i.wire.Peek(1); err != nil {
			return 0, err // an empty file may come as nothing at all
		}
		var err error
		if i.z, err = zlib.NewReader(i.wire); err != nil {
			return 0, errors.Join(errDeflate, err)
		}
	}
	n, err := i.z.Read(p)
	switch {
	case err == io.EOF:
		if _, err := i.wire.ReadByte(); err == nil {
			return n, errDeflate
		} else if err != io.EOF {
			return n, err
		}
		return n, io.EOF
	case err != nil && !errors.Is(err, layer.ErrTruncated):
		return n, errors.Join(errDeflate, err)
	}
	return n, err
}

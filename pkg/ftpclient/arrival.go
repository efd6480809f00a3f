package ftpclient

import (
	"fmt"
	"io"
	"iter"

	"ftps/pkg/ftp"
)

// Download takes the answer to a RETR. Read returns io.EOF only when the
// file is whole: the block that ends it has come, and the server said 2yz.
func (p *Pipeline) Download() (io.ReadCloser, error) {
	return p.incoming("RETR")
}

func (p *Pipeline) incoming(verb string) (*arrival, error) {
	stream, err := p.open(verb)
	if err != nil {
		return nil, err
	}
	return &arrival{p: p, verb: verb, blocks: ftp.NewBlockReader(stream)}, nil
}

// arrival is one file or listing on its way here.
type arrival struct {
	p       *Pipeline
	verb    string
	blocks  *ftp.BlockReader
	verdict error
}

func (a *arrival) Read(b []byte) (int, error) {
	if a.verdict != nil {
		return 0, a.verdict
	}
	rate := a.p.c.cfg.Rate
	if rate != nil && a.verb == "RETR" {
		b = b[:min(len(b), ratePiece)]
	}
	n, err := a.blocks.Read(b)
	if err == nil {
		err = a.p.ctx.Err() // what is in the buffers already could go on for long
	}
	if n > 0 && rate != nil && a.verb == "RETR" {
		if rateErr := rate.Wait(a.p.ctx, n); err == nil {
			err = rateErr
		}
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		if _, a.verdict = a.p.final(a.verb); a.verdict == nil {
			a.verdict = io.EOF
		}
	case isTimeout(err):
		a.verdict = a.p.fail(a.verb, fmt.Errorf("%w: %v", ErrStalled, err))
	default:
		// No block has ended the file, whatever the server will say.
		a.verdict = a.p.fail(a.verb, fmt.Errorf("%w: %v", ErrTruncated, err))
	}
	if n > 0 {
		return n, nil
	}
	return 0, a.verdict
}

// Close returns the verdict. Before the end it cuts the data connection, and
// with it goes all that is in line.
func (a *arrival) Close() error {
	if a.verdict == nil {
		a.p.fail(a.verb, ErrAborted)
		a.verdict = ErrAborted
	}
	if a.verdict == io.EOF {
		return nil
	}
	return a.verdict
}

// List takes the answer to an MLSD, as [Conn.List] does.
func (p *Pipeline) List() iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		a, err := p.incoming("MLSD")
		if err != nil {
			yield(ftp.Entry{}, err)
			return
		}
		l := &listing{d: a, most: p.c.cfg.MaxListing, lines: p.c.cfg.MaxLines, parse: ftp.ParseFactsLine}
		l.run(yield)
	}
}

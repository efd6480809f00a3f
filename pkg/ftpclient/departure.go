package ftpclient

import (
	"errors"
	"fmt"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Upload takes the 1yz to a STOR. The file is stored when Close returns nil.
func (p *Pipeline) Upload() (*Departure, error) {
	if p.ahead {
		return nil, errors.ErrUnsupported
	}
	dated, err := p.tookTime()
	if err != nil {
		return nil, err
	}
	stream, err := p.open("STOR")
	if err != nil {
		return nil, err
	}
	return &Departure{p: p, blocks: ftp.NewBlockWriter(stream, 0), dated: dated}, nil
}

// tookTime takes the answer to the time that SendStore or Store has told.
func (p *Pipeline) tookTime() (bool, error) {
	if len(p.waiting) == 0 || p.waiting[0].verb != "OPTS" {
		return false, nil
	}
	reply, err := p.Reply()
	return err == nil && reply.Code/100 == 2, err
}

// Departure is one file on its way to the server over a [Pipeline].
type Departure struct {
	p      *Pipeline
	blocks *ftp.BlockWriter
	dated  bool
	over   bool
	err    error // of a Write, then the verdict
}

// Dated reports that the server was told the file's time, by
// [Pipeline.SendStore], and has set it if the upload ends well.
func (d *Departure) Dated() bool { return d.dated }

// Write implements io.Writer.
func (d *Departure) Write(b []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.over {
		return 0, ErrClosed
	}
	done := 0
	for done < len(b) {
		piece := b[done:]
		if rate := d.p.c.cfg.Rate; rate != nil {
			piece = piece[:min(len(piece), ratePiece)]
			if err := rate.Wait(d.p.ctx, len(piece)); err != nil {
				d.err = err
				return done, err
			}
		}
		n, err := d.blocks.Write(piece)
		done += n
		if err != nil {
			d.err = d.cause(err)
			return done, d.err
		}
	}
	return done, nil
}

func (d *Departure) cause(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("%w: %v", ErrStalled, err)
	}
	return fmt.Errorf("%w: %v", ErrDataLost, err)
}

// Close sends the block that ends the file, waits for the server's last
// reply and returns the verdict.
func (d *Departure) Close() error {
	if d.over {
		return d.err
	}
	d.over = true
	if d.err == nil {
		d.err = d.p.ctx.Err()
	}
	if d.err == nil {
		if err := d.finish(); err != nil {
			d.err = d.cause(err)
		}
	}
	if d.err != nil {
		d.err = d.p.fail("STOR", d.err)
		return d.err
	}
	_, d.err = d.p.final("STOR")
	var reply *ReplyError
	if d.err != nil && d.p.ctx.Err() == nil && (!errors.As(d.err, &reply) || reply.Reply.Code == 426) {
		d.err = fmt.Errorf("%w: %w", ErrUnconfirmed, d.err)
	}
	return d.err
}

func (d *Departure) finish() error {
	if err := d.blocks.Close(); err != nil {
		return err
	}
	return layer.Push(d.p.data.gather, d.p.c.cfg.Timeout)
}

// Abort cuts the data connection, so that the server cannot take the file
// for whole; all that is in line goes with it.
func (d *Departure) Abort() {
	if !d.over {
		d.over, d.err = true, ErrAborted
		d.p.fail("STOR", ErrAborted)
	}
}

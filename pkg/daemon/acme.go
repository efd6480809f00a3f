package daemon

import (
	"net"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/pki"
)

// openIssuer prepares what has certificates issued by ACME, if there are names
// for it. The folder will be the one's who serves.
func (d *Daemon) openIssuer(who *identity) (err error) {
	o := d.cfg.ACME
	if len(o.Domains) == 0 {
		return nil
	}
	o.Loaded, o.Failed = d.certificateLoaded, d.certificateFailed
	made := absent(o.Cache)
	if d.issuer, err = pki.NewIssuer(o); err != nil {
		return err
	}
	if made {
		return who.own(o.Cache)
	}
	return nil
}

// bindChallenges opens the ports where the authority's challenges are
// answered.
func (ls *listeners) bindChallenges(cfg *Config) (open []net.Listener, err error) {
	if len(cfg.ACME.Domains) == 0 {
		return nil, nil
	}
	for _, address := range cfg.ACMEListen {
		if l := ls.open.take(forACME, address); l != nil {
			open = append(open, l)
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, fault.Wrap(err, "cli.server.acme.failed", address, err)
		}
		ls.open.note(forACME, address, l)
		open = append(open, l)
	}
	return open, nil
}

func (d *Daemon) certificateLoaded(p *pki.Pair) {
	d.log.Info("certificate", "file", p.Files.Cert, "pin", p.Pin.String(), "expires", p.TLS.Leaf.NotAfter, "issued", p.Issued)
}

func (d *Daemon) certificateFailed(err error) { d.log.Error("certificate", "cause", d.cause(err)) }

// warnExpiring says which certificates end soon.
func (d *Daemon) warnExpiring(now time.Time) {
	for _, warning := range d.keeper.Expiring(now) {
		d.log.Warn("certificate", "cause", d.cause(warning))
	}
}

// Command ftpserverlib is a minimal server on somebody else's Go library, to
// be measured beside ours. It is a module of its own: the library is no
// dependency of the program.
package main

import (
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log"
	"os"

	lib "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"
)

// options come as JSON in the environment, for there is a password in them.
type options struct {
	Addr, Cert, Key      string
	User, Password, Home string
	First, Last          int
}

type driver struct {
	options
	tls *tls.Config
}

func (d *driver) GetSettings() (*lib.Settings, error) {
	return &lib.Settings{
		ListenAddr: d.Addr, TLSRequired: lib.MandatoryEncryption,
		PassiveTransferPortRange: &lib.PortRange{Start: d.First, End: d.Last},
		DefaultTransferType:      lib.TransferTypeBinary,
		IdleTimeout:              3600, ConnectionTimeout: 30,
	}, nil
}

func (d *driver) ClientConnected(lib.ClientContext) (string, error) { return "ready", nil }
func (d *driver) ClientDisconnected(lib.ClientContext)              {}
func (d *driver) GetTLSConfig() (*tls.Config, error)                { return d.tls, nil }

func (d *driver) AuthUser(_ lib.ClientContext, name, password string) (lib.ClientDriver, error) {
	if name != d.User || subtle.ConstantTimeCompare([]byte(password), []byte(d.Password)) != 1 {
		return nil, errors.New("wrong name or password")
	}
	return afero.NewBasePathFs(afero.NewOsFs(), d.Home), nil
}

func main() {
	var d driver
	if err := json.Unmarshal([]byte(os.Getenv("FTPS_BENCH_OPTIONS")), &d.options); err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(d.Cert, d.Key)
	if err != nil {
		log.Fatal(err)
	}
	d.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if err := lib.NewFtpServer(&d).ListenAndServe(); err != nil {
		log.Fatal(err)
	}
}

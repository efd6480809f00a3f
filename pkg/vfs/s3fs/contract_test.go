//go:build interop

package s3fs

import (
	"net/url"
	"os"
	"testing"

	"ftps/pkg/vfs"
	"ftps/pkg/vfs/vfstest"
)

// TestContract runs over a real store, which FTPS_S3_ENDPOINT names with its
// credentials: http://KEY:SECRET@127.0.0.1:9000. scripts/s3 starts two.
func TestContract(t *testing.T) {
	but := []string{ // unlike_test.go has what happens instead
		"names of any bytes and of 255 bytes work",
		"a folder that was renamed meanwhile takes its upload with it",
	}
	vfstest.RunBut(t, but, func(t *testing.T) vfs.FS { return fresh(t) })
}

func connect(t *testing.T) *Store {
	at, err := url.Parse(os.Getenv("FTPS_S3_ENDPOINT"))
	if err != nil || at.Host == "" {
		t.Fatal("FTPS_S3_ENDPOINT names no store")
	}
	secret, _ := at.User.Password()
	store, err := Connect(Options{Endpoint: at, AccessKey: at.User.Username(), SecretKey: secret, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

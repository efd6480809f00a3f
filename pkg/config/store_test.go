package config

import (
	"strings"
	"testing"
)

func TestTheStoresSecretComesFromFileOrEnvironmentAndIsNeverShown(t *testing.T) {
	w := newWorld(t)
	w.file("ftps.yaml", "s3_endpoint: https://store.example:9000\ns3_access_key: name\ns3_secret_key: of-the-file\n")
	s, err := w.load()
	if err != nil || s.S3Endpoint.Host != "store.example:9000" || s.S3AccessKey != "name" || s.S3SecretKey != "of-the-file" {
		t.Fatalf("%+v, %v", s, err)
	}
	t.Setenv("FTPS_S3_SECRET_KEY", "of-the-environment")
	if s, err := w.load(); err != nil || s.S3SecretKey != "of-the-environment" {
		t.Errorf("%v", err)
	}
	if _, err := w.load("--s3-secret-key", "of-a-flag"); err == nil {
		t.Error("there is a flag, which every user of the machine can see")
	}
}

func TestAnAddressOfTheStoreHasNoCredentialsAndAnErrorDoesNotRepeatThem(t *testing.T) {
	for _, bad := range []string{"https://name:hidden@store.example", "ftp://store.example", "store.example:9000", "https://store.example/bucket"} {
		w := newWorld(t)
		t.Setenv("FTPS_S3_ENDPOINT", bad)
		_, err := w.load()
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

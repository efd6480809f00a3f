package ftpserver_test

import (
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/dataport"
	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

func TestRecordedClientsAreUnderstood(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := ftptest.Start(t, ftptest.Options{
				Accounts: []ftptest.Account{
					{Name: "diego", Password: "secreto"},
					{Name: "ana", Password: "secreto", Reuse: dataport.Prefer},
				},
				Server: func(c *ftpserver.Config) {
					c.KnowsHost = func(name string) bool { return name == ftptest.ServerName }
				},
			})
			ftptest.Replay(t, s, file)
		})
	}
}

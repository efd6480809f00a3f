package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// startSFTPGo starts SFTPGo with FTP alone, one account in memory, and the
// limits that would stop the load taken away. Whatever else it could serve,
// log or call is off: it is measured at its quickest.
func startSFTPGo(s *server) (*exec.Cmd, error) {
	program := os.Getenv(s.program)
	if program == "" {
		return nil, errors.New(s.program + " does not name it: scripts/bench builds it")
	}
	type object = map[string]any
	off := []object{{"port": 0}}
	files := map[string]any{
		"sftpgo.json": object{
			"common": object{"idle_timeout": 60, "max_per_host_connections": 0, "defender": object{"enabled": false}},
			"sftpd":  object{"bindings": off}, "httpd": object{"bindings": off}, "webdavd": object{"bindings": off},
			"ftpd": object{
				"bindings":             []object{{"address": "127.0.0.1", "port": s.Control, "tls_mode": 1, "min_tls_version": 12}},
				"certificate_file":     filepath.Join(s.Dir, "server.pem"),
				"certificate_key_file": filepath.Join(s.Dir, "server.key"),
				"passive_port_range":   object{"start": s.First, "end": s.Last},
			},
			"data_provider": object{
				"driver": "memory", "name": filepath.Join(s.Dir, "accounts.json"), "password_caching": true,
				// It hashes the password of the account when it reads it.
				"password_hashing": object{"algo": "bcrypt", "bcrypt_options": object{"cost": 12}},
			},
			"smtp": object{"templates_path": filepath.Join(s.Dir, "templates")},
		},
		"accounts.json": object{"version": 16, "users": []object{{
			"username": s.account, "password": password, "status": 1, "home_dir": s.Home,
			"permissions": object{"/": []string{"*"}},
		}}},
		// It does not start without the texts of mails that it will not send.
		"templates/email/reset-password.html":      "",
		"templates/email/password-expiration.html": "",
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "templates/email"), 0o755); err != nil {
		return nil, err
	}
	for name, value := range files {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.Dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return exec.Command(program, "serve", "--config-dir", s.Dir, "--log-file-path", "", "--log-level", "error", "--grace-time", "0"), nil
}

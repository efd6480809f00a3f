package integration

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/config"
)

func TestDocsTranscriptsOfTheOperatorsGuideAreTrue(t *testing.T) {
	runPage(t, "../docs/operating.md", 17)
}

func TestDocsTranscriptsForThoseFromVsftpdAreTrue(t *testing.T) { runPage(t, "../docs/vsftpd.md", 3) }

func docs(t *testing.T, page string) string {
	t.Helper()
	raw, err := os.ReadFile("../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// accountKeys are those of users.yaml that the pages name.
var accountKeys = []string{"home", "permissions", "quota", "max_sessions", "disabled", "allow_from", "rate_up", "rate_down", "client_cert"}

func TestDocsOfVsftpdNameSettingsThatExist(t *testing.T) {
	known := slices.Clone(accountKeys)
	defaults := make(map[string]string)
	for _, row := range config.Settings() {
		known = append(known, row.Key())
		defaults[row.Key()] = row.Default
	}
	rows := regexp.MustCompile("(?m)^\\| `.*\\| (.*?) \\| (.*?) ?\\|$").FindAllStringSubmatch(docs(t, "vsftpd.md"), -1)
	if len(rows) < 25 {
		t.Fatalf("%d rows", len(rows))
	}
	name := regexp.MustCompile("`([a-z_]+)`")
	for _, row := range rows[1:] { // below the head
		named := name.FindAllStringSubmatch(row[1], -1)
		if len(named) == 0 && row[1] != "always" && row[1] != "none" {
			t.Errorf("%s: what is it here?", row[0])
		}
		for _, m := range named {
			if !slices.Contains(known, m[1]) {
				t.Errorf("there is no setting %s", m[1])
			}
		}
	}
	// The ports of the firewall are those that are open by default.
	for _, want := range []string{"{ " + defaults["control_port"] + ", " + defaults["data_port"] + " }",
		"ufw allow " + defaults["control_port"] + "," + strings.Replace(defaults["data_port"], "-", ":", 1) + "/tcp",
		"redirect to :" + defaults["control_port"]} {
		if !strings.Contains(docs(t, "vsftpd.md"), want) {
			t.Errorf("the firewall has no %q", want)
		}
	}
}

// What an administrator of vsftpd is used to has an answer, even if it is none.
func TestDocsOfVsftpdAnswerForEachCommonNeed(t *testing.T) {
	table := docs(t, "vsftpd.md")
	for need, options := range map[string][]string{
		"a jail": {"chroot_local_user", "chroot_list_enable"}, "lists of users": {"userlist_file"}, "modes": {"local_umask", "file_open_mode", "chmod_enable"},
		"passive ports": {"pasv_min_port", "pasv_address", "pasv_enable"}, "rates": {"local_max_rate", "anon_max_rate"},
		"a banner": {"ftpd_banner", "dirmessage_enable"}, "hidden files": {"hide_file", "deny_file", "force_dot_files"},
		"virtual users": {"guest_enable", "user_config_dir", "pam_service_name"}, "anonymous": {"anonymous_enable", "anon_upload_enable"},
		"logs": {"xferlog_file", "dual_log_enable"}, "who may come": {"tcp_wrappers", "max_clients", "max_per_ip", "cmds_denied"},
		"addresses": {"listen_address6", "listen_ipv6"}, "times": {"use_localtime"}, "listings": {"ls_recurse_enable"},
	} {
		for _, option := range options {
			if !strings.Contains(table, "`"+option) {
				t.Errorf("%s: no word of %s", need, option)
			}
		}
	}
}

// A command of the guide stands in a transcript, or is no command of ours.
func TestDocsHaveNoCommandThatNobodyRuns(t *testing.T) {
	for _, page := range []string{"operating.md", "vsftpd.md"} {
		text := docs(t, page)
		for _, b := range blocksOf(t, "../docs/"+page) {
			if b.info == "" && strings.Contains(strings.Join(b.lines, "\n"), "ftps ") {
				t.Errorf("%s line %d: a command outside of a transcript", page, b.line)
			}
		}
		for _, m := range regexp.MustCompile(`\]\((\.\./[^)#]+|[a-z]+\.md)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat("../docs/" + m[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

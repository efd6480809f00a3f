package catalog

// hookRows are what is wrong with who is told of events.
var hookRows = []Row{
	{Key: "hook.url", EN: "%q is no address for --webhook: https, or http on this machine",
		ES: "%q no es una dirección para --webhook: https, o http en esta máquina"},
	{Key: "hook.secret", EN: "the webhook's secret needs %d bytes or more\nname its file with --webhook-secret-file, or set FTPS_WEBHOOK_SECRET",
		ES: "el secreto del webhook necesita %d bytes o más\nindique su archivo con --webhook-secret-file, o defina FTPS_WEBHOOK_SECRET"},
	{Key: "hook.secret.file", EN: "cannot read the webhook's secret from %s: %v", ES: "no se puede leer el secreto del webhook en %s: %v"},
	{Key: "hook.webhook.failed", EN: "the webhook was not told of %s %s, after %d tries: %v",
		ES: "no se pudo avisar al webhook de %s %s, tras %d intentos: %v"},
	{Key: "hook.program.relative", EN: "--hook needs the whole path of a program, not %q", ES: "--hook requiere la ruta completa de un programa, no %q"},
	{Key: "hook.program.failed", EN: "cannot use %s for --hook: %v", ES: "no se puede usar %s para --hook: %v"},
	{Key: "hook.program.mode", EN: "%s, named by --hook, is no program\nmake it one with: chmod 755", ES: "%s, indicado con --hook, no es un programa\nconviértalo en uno con: chmod 755"},
	{Key: "hook.program.open", EN: "others may change %s, named by --hook\nclose it with: chmod 755", ES: "otros pueden cambiar %s, indicado con --hook\nciérrelo con: chmod 755"},
	{Key: "hook.program.owner", EN: "%s, named by --hook, belongs to neither root nor the server's user, who could change it\nuse a program of theirs", ES: "%s, indicado con --hook, no es ni de root ni del usuario del servidor, y su dueño podría cambiarlo\nuse un programa de uno de ellos"},
	{Key: "hook.program.served", EN: "%s, named by --hook, lies below %s, where accounts may change it\nmove it elsewhere", ES: "%s, indicado con --hook, está bajo %s, donde las cuentas pueden cambiarlo\nmuévalo a otro lugar"},
	{Key: "hook.program.slow", EN: "it took longer than %v and was ended", ES: "tardó más de %v y se terminó"},
	{Key: "hook.program.ended", EN: "the hook for %s %s: %v (%q)", ES: "el programa de --hook para %s %s: %v (%q)"},
}

package catalog

// shellRows are the sentences of the interactive client and of ftps client.
var shellRows = []Row{
	// The prompts of the original program.
	{Key: "shell.ask.user", EN: "USER: ", ES: "USUARIO: "},
	{Key: "shell.ask.password", EN: "PASS: ", ES: "PASS: "},
	{Key: "shell.ask.trust", EN: "trust this key and remember it? (yes/no) ", ES: "¿confiar en esta clave y recordarla? (sí/no) "},
	{Key: "shell.connecting", EN: "Trying to connect to %s - %d", ES: "Intentando conexión en %s - %d"},

	// What stands behind a command's names in help.
	{Key: "shell.args.ls", EN: "[-l] [--json] [PATH]", ES: "[-l] [--json] [RUTA]"},
	{Key: "shell.args.cd", EN: "FOLDER", ES: "CARPETA"},
	{Key: "shell.args.pwd", EN: "", ES: ""},
	{Key: "shell.args.get", EN: "[-r] [-c] REMOTE [LOCAL]", ES: "[-r] [-c] REMOTO [LOCAL]"},
	{Key: "shell.args.put", EN: "[-r] [-c] LOCAL [REMOTE]", ES: "[-r] [-c] LOCAL [REMOTO]"},
	{Key: "shell.args.cat", EN: "FILE…", ES: "ARCHIVO…"},
	{Key: "shell.args.mkdir", EN: "FOLDER…", ES: "CARPETA…"},
	{Key: "shell.args.rmdir", EN: "FOLDER…", ES: "CARPETA…"},
	{Key: "shell.args.rm", EN: "FILE…", ES: "ARCHIVO…"},
	{Key: "shell.args.mv", EN: "FROM TO", ES: "ORIGEN DESTINO"},
	{Key: "shell.args.stat", EN: "[--json] PATH…", ES: "[--json] RUTA…"},
	{Key: "shell.args.lcd", EN: "[FOLDER]", ES: "[CARPETA]"},
	{Key: "shell.args.lpwd", EN: "", ES: ""},
	{Key: "shell.args.lls", EN: "[FOLDER]", ES: "[CARPETA]"},
	{Key: "shell.args.quote", EN: "LINE", ES: "LÍNEA"},
	{Key: "shell.args.status", EN: "", ES: ""},
	{Key: "shell.args.history", EN: "", ES: ""},
	{Key: "shell.args.!", EN: "[COMMAND]", ES: "[COMANDO]"},
	{Key: "shell.args.help", EN: "[COMMAND]", ES: "[COMANDO]"},
	{Key: "shell.args.quit", EN: "", ES: ""},

	// What a command does, in one line.
	{Key: "shell.help.ls", EN: "list a folder of the server", ES: "listar una carpeta del servidor"},
	{Key: "shell.help.cd", EN: "change the folder on the server", ES: "cambiar de carpeta en el servidor"},
	{Key: "shell.help.pwd", EN: "print the folder on the server", ES: "mostrar la carpeta del servidor"},
	{Key: "shell.help.get", EN: "download a file, or with -r a folder", ES: "descargar un archivo o, con -r, una carpeta"},
	{Key: "shell.help.put", EN: "upload a file, or with -r a folder", ES: "subir un archivo o, con -r, una carpeta"},
	{Key: "shell.help.cat", EN: "print a file of the server", ES: "mostrar el contenido de un archivo del servidor"},
	{Key: "shell.help.mkdir", EN: "make folders on the server", ES: "crear carpetas en el servidor"},
	{Key: "shell.help.rmdir", EN: "remove empty folders from the server", ES: "borrar carpetas vacías del servidor"},
	{Key: "shell.help.rm", EN: "remove files from the server", ES: "borrar archivos del servidor"},
	{Key: "shell.help.mv", EN: "rename or move on the server", ES: "renombrar o mover en el servidor"},
	{Key: "shell.help.stat", EN: "show type, size and time of a path", ES: "mostrar tipo, tamaño y fecha de una ruta"},
	{Key: "shell.help.lcd", EN: "change the local folder", ES: "cambiar de carpeta local"},
	{Key: "shell.help.lpwd", EN: "print the local folder", ES: "mostrar la carpeta local"},
	{Key: "shell.help.lls", EN: "list a local folder", ES: "listar una carpeta local"},
	{Key: "shell.help.quote", EN: "send a line to the server as it is", ES: "enviar una línea al servidor tal cual"},
	{Key: "shell.help.status", EN: "show the connection and the folders", ES: "mostrar la conexión y las carpetas"},
	{Key: "shell.help.history", EN: "show the lines typed before", ES: "mostrar las líneas escritas antes"},
	{Key: "shell.help.!", EN: "run a command of this machine, or its shell", ES: "ejecutar un comando de esta máquina, o su intérprete"},
	{Key: "shell.help.help", EN: "show the commands, or tell about one", ES: "mostrar los comandos o explicar uno"},
	{Key: "shell.help.quit", EN: "end the session", ES: "terminar la sesión"},
	{Key: "shell.help.more",
		EN: "\"help COMMAND\" tells more about a command. Names with blanks go between quotes; \";\" parts commands.",
		ES: "\"ayuda COMANDO\" dice más sobre un comando. Los nombres con espacios van entre comillas; \";\" separa comandos."},

	// More about the commands that need it.
	{Key: "shell.long.get",
		EN: "LOCAL is a folder to put it into, or the new name; without it, the local folder.\nA file arrives under a temporary name and gets its own once it is whole.",
		ES: "LOCAL es la carpeta donde ponerlo o el nombre nuevo; si falta, la carpeta local.\nUn archivo llega con un nombre temporal y recibe el suyo cuando está completo."},
	{Key: "shell.long.put",
		EN: "REMOTE is a folder to put it into, or the new name; without it, the server's folder.",
		ES: "REMOTO es la carpeta donde ponerlo o el nombre nuevo; si falta, la carpeta del servidor."},
	{Key: "shell.long.quote",
		EN: "Passwords sent this way are not kept in the history.",
		ES: "Las contraseñas enviadas así no quedan en el historial."},

	// Options of the commands.
	{Key: "shell.option.ls.l", EN: "with type, size and time", ES: "con tipo, tamaño y fecha"},
	{Key: "shell.option.ls.a", EN: "hidden names too (they always are)", ES: "también los nombres ocultos (siempre es así)"},
	{Key: "shell.option.ls.json", EN: "one JSON object an entry", ES: "un objeto JSON por entrada"},
	{Key: "shell.option.get.r", EN: "a folder and all that is in it", ES: "una carpeta y todo su contenido"},
	{Key: "shell.option.get.c", EN: "continue a download that was cut", ES: "continuar una descarga interrumpida"},
	{Key: "shell.option.put.r", EN: "a folder and all that is in it", ES: "una carpeta y todo su contenido"},
	{Key: "shell.option.put.c", EN: "continue an upload that was cut", ES: "continuar una subida interrumpida"},
	{Key: "shell.option.stat.json", EN: "one JSON object a path", ES: "un objeto JSON por ruta"},

	// What is wrong with a line.
	{Key: "shell.command.unknown", EN: "unknown command: %s\n\"help\" lists the commands",
		ES: "comando desconocido: %s\n\"ayuda\" muestra los comandos"},
	{Key: "shell.command.near", EN: "unknown command: %s\ndid you mean \"%s\"?", ES: "comando desconocido: %s\n¿quiso decir \"%s\"?"},
	{Key: "shell.option.unknown", EN: "unknown option %s for %s", ES: "opción desconocida %s para %s"},
	{Key: "shell.args.missing", EN: "%s needs more words", ES: "a %s le faltan palabras"},
	{Key: "shell.args.extra", EN: "%s is one word too many for %s; names with blanks go between quotes",
		ES: "%s sobra para %s; los nombres con espacios van entre comillas"},
	{Key: "shell.usage", EN: "usage: %s", ES: "uso: %s"},
	{Key: "shell.quote.open", EN: "a quote was opened and not closed\na backslash makes a quote an ordinary character",
		ES: "se abrió una comilla que no se cerró\nuna barra inversa convierte la comilla en un carácter común"},

	// Listings and completion.
	{Key: "shell.ls.line", EN: "a line of the listing was not understood: %s", ES: "no se entendió una línea del listado: %s"},
	{Key: "shell.ls.name", EN: "the server lists a name that is not allowed: %s", ES: "el servidor muestra un nombre no permitido: %s"},
	{Key: "shell.ls.missed", EN: "the listing is not complete: %d lines left out", ES: "el listado no está completo: %d líneas omitidas"},
	{Key: "shell.complete.more", EN: "… and %d more", ES: "… y %d más"},

	// Both sides' folders.
	{Key: "shell.remote.notfolder", EN: "%s is not a folder on the server", ES: "%s no es una carpeta del servidor"},
	{Key: "shell.local.notfolder", EN: "%s is not a folder here", ES: "%s no es una carpeta local"},
	{Key: "shell.local.missing", EN: "%s does not exist here", ES: "%s no existe en esta máquina"},
	{Key: "shell.local.denied", EN: "no permission for %s here", ES: "sin permiso sobre %s en esta máquina"},
	{Key: "shell.local.failed", EN: "%s: %s", ES: "%s: %s"},

	// stat and status.
	{Key: "shell.type.file", EN: "file", ES: "archivo"},
	{Key: "shell.type.dir", EN: "folder", ES: "carpeta"},
	{Key: "shell.type.link", EN: "symlink", ES: "enlace"},
	{Key: "shell.type.other", EN: "other", ES: "otro"},
	{Key: "shell.stat.name", EN: "name", ES: "nombre"},
	{Key: "shell.stat.type", EN: "type", ES: "tipo"},
	{Key: "shell.stat.size", EN: "size", ES: "tamaño"},
	{Key: "shell.stat.modified", EN: "modified", ES: "modificado"},
	{Key: "shell.stat.mode", EN: "mode", ES: "modo"},
	{Key: "shell.stat.perm", EN: "you may", ES: "permitido"},
	{Key: "shell.status.host", EN: "server", ES: "servidor"},
	{Key: "shell.status.user", EN: "user", ES: "usuario"},
	{Key: "shell.status.tls", EN: "encryption", ES: "cifrado"},
	{Key: "shell.status.folder", EN: "folder", ES: "carpeta"},
	{Key: "shell.status.local", EN: "local folder", ES: "carpeta local"},

	// Transfers.
	{Key: "shell.transfer.done", EN: "%s: %s, %s/s", ES: "%s: %s, %s/s"},
	{Key: "shell.transfer.resumed", EN: "%s: %s, %s/s, continued", ES: "%s: %s, %s/s, continuado"},
	{Key: "shell.transfer.present", EN: "%s: already there", ES: "%s: ya estaba"},
	{Key: "shell.transfer.unclean", EN: "%s: complete by its size, but the server ended the connection uncleanly",
		ES: "%s: completo según su tamaño, pero el servidor cerró mal la conexión"},
	{Key: "shell.transfer.failed", EN: "%s: %s", ES: "%s: %s"},
	{Key: "shell.transfer.restarted", EN: "%s: begins again: %s", ES: "%s: comienza de nuevo: %s"},
	{Key: "shell.transfer.retrying", EN: "%s: %s; trying again (%d)", ES: "%s: %s; nuevo intento (%d)"},
	{Key: "shell.transfer.leftout", EN: "%s: left out: %s", ES: "%s: omitido: %s"},
	{Key: "shell.transfer.gap", EN: "%s: not seen: %s", ES: "%s: no se pudo ver: %s"},
	{Key: "shell.transfer.total", EN: "%d files, %s, %s/s", ES: "%d archivos, %s, %s/s"},
	{Key: "shell.local.command", EN: "the command ended with code %d", ES: "el comando terminó con código %d"},
	{Key: "shell.interrupted", EN: "interrupted", ES: "interrumpido"},
	{Key: "shell.lost", EN: "the connection to %s is lost", ES: "se perdió la conexión con %s"},
	{Key: "shell.history.none", EN: "there is no history outside the interactive shell",
		ES: "fuera del modo interactivo no hay historial"},

	// ftps client.
	{Key: "cli.client.short", EN: "Connect to a server: an interactive shell, or one command",
		ES: "Conectar con un servidor: modo interactivo o un solo comando"},
	{Key: "cli.client.use", EN: "client HOST [COMMAND [ARG…]]", ES: "client HOST [COMANDO [ARG…]]"},
	{Key: "cli.client.long",
		EN: `Connect to a server over FTP with TLS.

HOST is a name, an address, or a URL: ftpes://user@host:port/folder for explicit
TLS, which is the default, or ftps://… for implicit TLS, as is port 990.
Without a COMMAND, and on a terminal, the interactive shell starts; its "help"
lists the commands. With one, it runs and the program ends.
Flags stand before or after HOST; from COMMAND on every word is the command's.

The password comes from --password-stdin, --password-file, --password-command,
FTPS_PASSWORD or ~/.netrc, else it is asked for.

Exit codes: 0 done, 1 other, 2 usage, 3 cannot connect, 4 login refused,
5 TLS or pin, 6 not found, 7 no permission, 8 some files failed, 9 content
damaged, 10 timeout, 11 no space or quota, 130 interrupted.`,
		ES: `Conectar con un servidor por FTP con TLS.

HOST es un nombre, una dirección o una URL: ftpes://usuario@host:puerto/carpeta
para TLS explícito, lo habitual, o ftps://… para TLS implícito, como el puerto 990.
Sin COMANDO, y en una terminal, comienza el modo interactivo; su "ayuda" muestra
los comandos. Con COMANDO, se ejecuta y el programa termina.
Las opciones van antes o después de HOST; desde COMANDO en adelante, cada palabra
es del comando.

La contraseña viene de --password-stdin, --password-file, --password-command,
FTPS_PASSWORD o ~/.netrc; si no, se pregunta.

Códigos de salida: 0 hecho, 1 otro, 2 uso, 3 sin conexión, 4 acceso rechazado,
5 TLS o pin, 6 no encontrado, 7 sin permiso, 8 fallaron algunos archivos,
9 contenido dañado, 10 tiempo agotado, 11 sin espacio o cuota, 130 interrumpido.`},
	{Key: "cli.client.flag.port", EN: "`port` of the server (default 5000, with ftps:// 990)",
		ES: "`puerto` del servidor (por defecto 5000, con ftps:// 990)"},
	{Key: "cli.client.flag.user", EN: "`name` of the account", ES: "`nombre` de la cuenta"},
	{Key: "cli.client.flag.password-stdin", EN: "read the password from the first line of standard input",
		ES: "leer la contraseña de la primera línea de la entrada estándar"},
	{Key: "cli.client.flag.password-file", EN: "read the password from the first line of `file`",
		ES: "leer la contraseña de la primera línea de `archivo`"},
	{Key: "cli.client.flag.password-command", EN: "read the password from what `command` prints",
		ES: "leer la contraseña de lo que muestra `comando`"},
	{Key: "cli.client.flag.pin", EN: "public key `pin` of the server, repeatable; nothing else is accepted then",
		ES: "`pin` de la clave pública del servidor, repetible; no se acepta ninguna otra"},
	{Key: "cli.client.flag.trust", EN: "`how` to meet an unknown server: ask, accept-new, strict or ca (default ask on a terminal, else strict)",
		ES: "`cómo` tratar a un servidor desconocido: ask, accept-new, strict o ca (por defecto ask en una terminal, si no strict)"},
	{Key: "cli.client.flag.ca", EN: "PEM `file` of the authorities to trust instead of the system's",
		ES: "`archivo` PEM de las autoridades en las que confiar en lugar de las del sistema"},
	{Key: "cli.client.flag.client-cert", EN: "PEM `file` of the client's certificate", ES: "`archivo` PEM del certificado del cliente"},
	{Key: "cli.client.flag.client-key", EN: "PEM `file` of its key", ES: "`archivo` PEM de su clave"},
	{Key: "cli.client.flag.command", EN: "run `commands`, parted by \";\"", ES: "ejecutar `comandos`, separados por \";\""},
	{Key: "cli.client.flag.batch", EN: "run the commands of `file`, one a line", ES: "ejecutar los comandos de `archivo`, uno por línea"},
	{Key: "cli.client.flag.json", EN: "results as JSON objects, one a line", ES: "resultados como objetos JSON, uno por línea"},
	{Key: "cli.client.flag.jobs", EN: "`number` of connections for many files", ES: "`número` de conexiones para muchos archivos"},
	{Key: "cli.client.flag.limit-rate", EN: "at most `rate` bytes a second (2M, 500K)", ES: "como máximo `ritmo` bytes por segundo (2M, 500K)"},
	{Key: "cli.client.flag.timeout", EN: "`time` to wait for the server (30s, 2m)", ES: "`tiempo` de espera al servidor (30s, 2m)"},
	{Key: "cli.client.flag.retries", EN: "`times` to try a broken transfer again", ES: "`veces` que se reintenta una transferencia cortada"},
	{Key: "cli.client.flag.active", EN: "the server opens the data connections (EPRT, PORT)",
		ES: "el servidor abre las conexiones de datos (EPRT, PORT)"},
	{Key: "cli.client.flag.verbose", EN: "show the whole dialogue, passwords masked", ES: "mostrar todo el diálogo, sin contraseñas"},

	{Key: "cli.client.host.missing", EN: "the server to connect to is missing\nusage: %s", ES: "falta el servidor con el que conectar\nuso: %s"},
	{Key: "cli.client.host.bad", EN: "%q is no host\nwrite a name, an address, [an IPv6 address], or a URL ftpes://user@host:port/folder",
		ES: "%q no es un host\nescriba un nombre, una dirección, [una dirección IPv6] o una URL ftpes://usuario@host:puerto/carpeta"},
	{Key: "cli.client.host.scheme", EN: "%q is not a scheme of this program\nuse ftpes:// (explicit TLS) or ftps:// (implicit TLS)",
		ES: "%q no es un esquema de este programa\nuse ftpes:// (TLS explícito) o ftps:// (TLS implícito)"},
	{Key: "cli.client.host.password", EN: "a password does not belong into a URL, where others can read it\nuse --password-file or --password-stdin",
		ES: "una contraseña no debe ir en una URL, donde otros pueden leerla\nuse --password-file o --password-stdin"},
	{Key: "cli.client.port.twice", EN: "two ports were given: %d and %d", ES: "se indicaron dos puertos: %d y %d"},
	{Key: "cli.client.port.bad", EN: "%d is no port\na port is a number from 1 to 65535", ES: "%d no es un puerto\nun puerto es un número de 1 a 65535"},
	{Key: "cli.client.user.missing", EN: "no user was given\nuse --user NAME", ES: "no se indicó el usuario\nuse --user NOMBRE"},
	{Key: "cli.client.password.missing",
		EN: "no password was given\nuse --password-file, --password-stdin, --password-command, FTPS_PASSWORD or ~/.netrc",
		ES: "no se indicó la contraseña\nuse --password-file, --password-stdin, --password-command, FTPS_PASSWORD o ~/.netrc"},
	{Key: "cli.client.password.several", EN: "give one of --password-stdin, --password-file and --password-command",
		ES: "indique solo una de --password-stdin, --password-file y --password-command"},
	{Key: "cli.client.password.unreadable", EN: "cannot read the password: %v", ES: "no se puede leer la contraseña: %v"},
	{Key: "cli.client.password.empty", EN: "the password read is empty", ES: "la contraseña leída está vacía"},
	{Key: "cli.client.netrc.open", EN: "others can read %[1]s, which holds passwords\nclose it with: chmod 600 %[1]s",
		ES: "otros pueden leer %[1]s, que contiene contraseñas\nciérrelo con: chmod 600 %[1]s"},
	{Key: "cli.client.script.several", EN: "give one of -c, -b and a COMMAND", ES: "indique solo uno de -c, -b y un COMANDO"},
	{Key: "cli.client.batch", EN: "cannot read the commands of %s: %s", ES: "no se pueden leer los comandos de %s: %s"},
	{Key: "cli.client.key.pair", EN: "--client-cert and --client-key belong together", ES: "--client-cert y --client-key van juntas"},
	{Key: "cli.client.ca.empty", EN: "no certificate in %s\na PEM file is needed", ES: "no hay ningún certificado en %s\nhace falta un archivo PEM"},
	{Key: "cli.client.rate.bad", EN: "%q is no rate\nwrite bytes a second: 500K, 2M, 10MiB", ES: "%q no es un ritmo\nescriba bytes por segundo: 500K, 2M, 10MiB"},
	{Key: "cli.client.jobs.bad", EN: "between 1 and %d connections are possible", ES: "son posibles entre 1 y %d conexiones"},
	{Key: "cli.client.env", EN: "%s: %v", ES: "%s: %v"},
}

package catalog

// cliRows are the sentences of the command line: what every command shares,
// and the commands that have no room of their own below cmd. Rows of other
// commands (cli.useradd.short, …) stand in the file of their room.
var cliRows = []Row{
	{Key: "cli.root.short", EN: "Files over FTP, with TLS on every connection: server and client",
		ES: "Archivos por FTP, con TLS en todas las conexiones: servidor y cliente"},
	{Key: "cli.version.short", EN: "Print the version", ES: "Mostrar la versión"},
	{Key: "cli.help.short", EN: "Help about any command", ES: "Ayuda sobre cualquier comando"},
	{Key: "cli.help.use", EN: "help [COMMAND]", ES: "help [COMANDO]"},

	{Key: "cli.flag.help", EN: "show this help", ES: "mostrar esta ayuda"},
	{Key: "cli.flag.lang", EN: "`language` of all texts: en or es (default: from the locale)",
		ES: "`idioma` de todos los textos: en o es (por defecto: el del entorno)"},

	{Key: "cli.usage.usage", EN: "Usage:", ES: "Uso:"},
	{Key: "cli.usage.command", EN: "COMMAND", ES: "COMANDO"},
	{Key: "cli.usage.options", EN: "[FLAGS]", ES: "[OPCIONES]"},
	{Key: "cli.usage.examples", EN: "Examples:", ES: "Ejemplos:"},
	{Key: "cli.usage.commands", EN: "Commands:", ES: "Comandos:"},
	{Key: "cli.usage.flags", EN: "Flags:", ES: "Opciones:"},
	{Key: "cli.usage.global", EN: "Flags of every command:", ES: "Opciones de todos los comandos:"},
	{Key: "cli.usage.default", EN: "(default %s)", ES: "(por defecto %s)"},
	{Key: "cli.usage.more", EN: "\"%s COMMAND --help\" tells more about a command.",
		ES: "\"%s COMANDO --help\" dice más sobre un comando."},

	{Key: "cli.lang.unknown", EN: "there is no language %q\nuse --lang en or --lang es",
		ES: "no existe el idioma %q\nuse --lang en o --lang es"},
	{Key: "cli.args.missing", EN: "%s needs more arguments\nusage: %s", ES: "a %s le faltan argumentos\nuso: %s"},
	{Key: "cli.args.extra", EN: "unexpected argument %q for %s\nusage: %s", ES: "argumento inesperado %q para %s\nuso: %s"},
	{Key: "cli.command.unknown", EN: "unknown command %q for %s\n\"ftps help\" lists the commands",
		ES: "comando desconocido %q para %s\n\"ftps help\" muestra los comandos"},
	{Key: "cli.command.near", EN: "unknown command %q for %s\ndid you mean: %s",
		ES: "comando desconocido %q para %s\n¿quiso decir: %s?"},
	{Key: "cli.flag.unknown", EN: "unknown flag: %s\n--help lists the flags", ES: "opción desconocida: %s\n--help muestra las opciones"},
	{Key: "cli.flag.novalue", EN: "flag %s needs a value", ES: "a la opción %s le falta un valor"},
	{Key: "cli.flag.invalid", EN: "flag %s does not take the value %q", ES: "la opción %s no admite el valor %q"},
	{Key: "cli.flag.refused", EN: "flag %s: %s", ES: "opción %s: %s"},
}

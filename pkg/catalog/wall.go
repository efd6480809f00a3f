package catalog

// wallRows are about the folders that a running server may reach.
var wallRows = []Row{
	{Key: "wall.on", EN: "The process reaches only its folders (Landlock %d)",
		ES: "El proceso alcanza solo sus carpetas (Landlock %d)"},
	{Key: "wall.without", EN: "The process may reach other folders: %v", ES: "El proceso puede alcanzar otras carpetas: %v"},
	{Key: "wall.off", EN: "landlock is off", ES: "landlock está en off"},
	{Key: "wall.none", EN: "this kernel has no Landlock that would do (version %d, wanted: %d or later)\nLinux 6.2 has it, where it is built in and in the list of its security modules",
		ES: "este núcleo no tiene un Landlock que baste (versión %d, se necesita: %d o posterior)\nLinux 6.2 lo tiene, si está compilado y en la lista de sus módulos de seguridad"},
	{Key: "wall.failed", EN: "Landlock was refused: %v", ES: "Landlock fue rechazado: %v"},
	{Key: "wall.privileges", EN: "cannot give up new privileges: %v", ES: "no se puede renunciar a nuevos privilegios: %v"},
	{Key: "wall.inherited", EN: "%s lies outside of the folders that the server before this one was shut in, and a successor stays there\nend the server and start it again", ES: "%s está fuera de las carpetas en las que se encerró el servidor anterior, y un sucesor permanece en ellas\ntermine el servidor e inícielo de nuevo"},
	{Key: "wall.outside", EN: "%s lies outside of the folders that the server reaches since its start: this needs a restart",
		ES: "%s queda fuera de las carpetas que el servidor alcanza desde su inicio: hace falta un reinicio"},
	{Key: "wall.wide", EN: "all of %s stays within the server's reach, for one file there\ngive that file a folder of its own",
		ES: "todo %s queda al alcance del servidor, por un solo archivo que está allí\nponga ese archivo en una carpeta propia"},
	{Key: "wall.home", EN: "account %s: %v", ES: "cuenta %s: %v"},
}

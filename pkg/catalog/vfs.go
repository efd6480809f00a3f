package catalog

var vfsRows = []Row{
	{
		Key: "vfs.home.missing",
		EN:  "the folder %s does not exist\nCreate it, or name another one.",
		ES:  "la carpeta %s no existe\nCréela o indique otra.",
	},
	{
		Key: "vfs.home.notdir",
		EN:  "%s is not a folder",
		ES:  "%s no es una carpeta",
	},
	{
		Key: "vfs.home.denied",
		EN:  "no permission to open the folder %s\nCheck its owner and its mode, and those of the folders above it.",
		ES:  "no hay permiso para abrir la carpeta %s\nCompruebe su dueño y sus permisos, y los de las carpetas superiores.",
	},
	{
		Key: "vfs.home.failed",
		EN:  "the folder %s cannot be opened: %v",
		ES:  "no se puede abrir la carpeta %s: %v",
	},
	{
		Key: "vfs.sweep.failed",
		EN:  "the unfinished uploads below %s could not all be cleared away: %v",
		ES:  "no se pudieron eliminar todas las subidas inacabadas de %s: %v",
	},
}

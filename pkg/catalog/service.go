package catalog

// serviceRows are what a server has to say to a service manager, and about
// its successor.
var serviceRows = []Row{
	{Key: "service.status", EN: "serving on %s, %d sessions", ES: "sirviendo en %s, %d sesiones"},
	{Key: "service.activation", EN: "the service manager passed something that is no listening socket (%s): %v", ES: "el gestor de servicios entregó algo que no es un socket que escucha (%s): %v"},
	{Key: "service.activation.unused", EN: "the service manager listens on %s, and no setting is for it\nset the port to that one, or name the socket: FileDescriptorName=control, implicit, metrics, acme or admin",
		ES: "el gestor de servicios escucha en %s, y ningún ajuste le corresponde\najuste el puerto a ese, o nombre el socket: FileDescriptorName=control, implicit, metrics, acme o admin"},
	{Key: "service.upgrade.elder", EN: "the server to be replaced has given up: %v", ES: "el servidor que se iba a reemplazar ha desistido: %v"},
	{Key: "service.upgrade.unsupported", EN: "this server cannot start a successor: not with a console, not with --demo, and not on this system\nend it and start it again", ES: "este servidor no puede iniciar un sucesor: ni con consola, ni con --demo, ni en este sistema\ntermínelo e inícielo de nuevo"},
	{Key: "service.upgrade.busy", EN: "an upgrade is under way already", ES: "ya hay una actualización en curso"},
	{Key: "service.upgrade.elder.there", EN: "the server before this one still has sessions\nwait for them to end, or end that process", ES: "el servidor anterior a este aún tiene sesiones\nespere a que terminen, o termine ese proceso"},
	{Key: "service.upgrade.left", EN: "this server has been replaced already", ES: "este servidor ya fue reemplazado"},
	{Key: "service.upgrade.start", EN: "cannot start %s: %v", ES: "no se puede iniciar %s: %v"},
	{Key: "service.upgrade.refused", EN: "the new server cannot take over: %s\nthis one goes on", ES: "el servidor nuevo no puede tomar el relevo: %s\neste continúa"},
	{Key: "service.upgrade.died", EN: "%s ended before it was ready\nthis server goes on", ES: "%s terminó antes de estar listo\neste servidor continúa"},
	{Key: "service.upgrade.slow", EN: "the new server was not ready within %v\nthis one goes on", ES: "el servidor nuevo no estuvo listo en %v\neste continúa"},
}

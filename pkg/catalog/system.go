package catalog

import (
	"errors"
	"strings"
	"syscall"
)

// systemRows are what the operating system says, as it says it in English.
var systemRows = []Row{
	{Key: "system.noent", EN: "no such file or directory", ES: "no existe el archivo o la carpeta"},
	{Key: "system.acces", EN: "permission denied", ES: "permiso denegado"},
	{Key: "system.perm", EN: "operation not permitted", ES: "operación no permitida"},
	{Key: "system.exist", EN: "file exists", ES: "el archivo ya existe"},
	{Key: "system.notdir", EN: "not a directory", ES: "no es una carpeta"},
	{Key: "system.isdir", EN: "is a directory", ES: "es una carpeta"},
	{Key: "system.notempty", EN: "directory not empty", ES: "la carpeta no está vacía"},
	{Key: "system.nospc", EN: "no space left on device", ES: "no queda espacio en el disco"},
	{Key: "system.rofs", EN: "read-only file system", ES: "sistema de archivos de solo lectura"},
	{Key: "system.io", EN: "input/output error", ES: "error de entrada o salida"},
	{Key: "system.mfile", EN: "too many open files", ES: "demasiados archivos abiertos"},
	{Key: "system.connrefused", EN: "connection refused", ES: "conexión rechazada"},
	{Key: "system.connreset", EN: "connection reset by peer", ES: "el otro extremo cortó la conexión"},
	{Key: "system.pipe", EN: "broken pipe", ES: "el otro extremo cerró la conexión"},
	{Key: "system.timedout", EN: "connection timed out", ES: "se agotó el tiempo de la conexión"},
	{Key: "system.hostunreach", EN: "no route to host", ES: "no hay ruta hasta la máquina"},
	{Key: "system.netunreach", EN: "network is unreachable", ES: "la red es inalcanzable"},
	{Key: "system.addrinuse", EN: "address already in use", ES: "la dirección ya está en uso"},
	{Key: "system.addrnotavail", EN: "cannot assign requested address", ES: "la dirección no es de esta máquina"},
}

var systemKeys = map[syscall.Errno]string{
	syscall.ENOENT: "system.noent", syscall.EACCES: "system.acces", syscall.EPERM: "system.perm",
	syscall.EEXIST: "system.exist", syscall.ENOTDIR: "system.notdir", syscall.EISDIR: "system.isdir",
	syscall.ENOTEMPTY: "system.notempty", syscall.ENOSPC: "system.nospc", syscall.EROFS: "system.rofs",
	syscall.EIO: "system.io", syscall.EMFILE: "system.mfile",
	syscall.ECONNREFUSED: "system.connrefused", syscall.ECONNRESET: "system.connreset", syscall.EPIPE: "system.pipe",
	syscall.ETIMEDOUT: "system.timedout", syscall.EHOSTUNREACH: "system.hostunreach",
	syscall.ENETUNREACH: "system.netunreach", syscall.EADDRINUSE: "system.addrinuse",
	syscall.EADDRNOTAVAIL: "system.addrnotavail",
}

// bare tells an error that has no key: what the operating system said at its
// end is put into the reader's language, the rest stays.
func bare(lang Lang, err error) string {
	text := err.Error()
	var errno syscall.Errno
	if lang == English || !errors.As(err, &errno) {
		return text
	}
	head, whole := strings.CutSuffix(text, errno.Error())
	key, known := systemKeys[errno]
	if !whole || !known {
		return text
	}
	return head + Text(lang, key)
}

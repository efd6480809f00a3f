"""Moves a folder with Python's ftplib: move.py put|get LOCAL REMOTE plain|reuse"""
import ftplib
import os
import ssl
import sys


class Reusing(ftplib.FTP_TLS):
    """ftplib with the one line that strict servers ask for."""

    def ntransfercmd(self, cmd, rest=None):
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            conn = self.context.wrap_socket(conn, server_hostname=self.host, session=self.sock.session)
        return conn, size


def connect(kind):
    context = ssl.create_default_context(cafile=os.environ["PEER_CERT"])
    ftp = (Reusing if kind == "reuse" else ftplib.FTP_TLS)(context=context, timeout=60)
    ftp.connect("127.0.0.1", int(os.environ["PEER_PORT"]))
    ftp.login(os.environ["PEER_USER"], os.environ["PEER_PASSWORD"])
    ftp.prot_p()
    return ftp


def put(ftp, local, remote):
    ftp.mkd(remote)
    for entry in sorted(os.scandir(local), key=lambda e: e.name):
        to = remote + "/" + entry.name
        if entry.is_dir():
            put(ftp, entry.path, to)
            continue
        with open(entry.path, "rb") as f:
            ftp.storbinary("STOR " + to, f)


def get(ftp, remote, local):
    os.mkdir(local)
    for name, facts in list(ftp.mlsd(remote, ["type", "size"])):
        source, to = remote + "/" + name, os.path.join(local, name)
        if facts["type"] == "dir":
            get(ftp, source, to)
        elif facts["type"] == "file":
            with open(to, "wb") as f:
                ftp.retrbinary("RETR " + source, f.write)
            if os.path.getsize(to) != int(facts["size"]):
                sys.exit("%r: %d bytes of %s" % (source, os.path.getsize(to), facts["size"]))


def main():
    direction, local, remote, kind = sys.argv[1:]
    ftp = connect(kind)
    if direction == "put":
        put(ftp, local, remote)
    else:
        get(ftp, remote, local)
    ftp.quit()


if __name__ == "__main__":
    main()

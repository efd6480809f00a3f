"""Moves one file with Python's ftplib, resuming the session: ftplib_one.py get|put REMOTE LOCAL"""
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


context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
ftp = Reusing(context=context, timeout=60)
ftp.connect(os.environ["PEER_HOST"], int(os.environ["PEER_PORT"]))
ftp.login(os.environ["PEER_USER"], os.environ["PEER_PASSWORD"])
ftp.prot_p()
verb, remote, local = sys.argv[1:]
if verb == "get":
    with open(local, "wb") as f:
        ftp.retrbinary("RETR " + remote, f.write)
else:
    with open(local, "rb") as f:
        ftp.storbinary("STOR " + remote, f)
ftp.quit()

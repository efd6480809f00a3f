"""pyftpdlib with TLS on loopback, as a JSON object on the command line says."""
import json
import logging
import sys

from OpenSSL import SSL
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

o = json.loads(sys.argv[1])
logging.basicConfig(filename=o["log"], level=logging.WARNING if o.get("quiet") else logging.DEBUG)


class Handler(TLS_FTPHandler):
    authorizer = DummyAuthorizer()
    certfile = o["both"]
    tls_control_required = tls_data_required = True
    passive_ports = range(o["first"], o["last"] + 1)
    use_gmt_times = not o.get("zone")
    use_sendfile = False
    masquerade_address = o.get("told") or None
    proto_cmds = {k: v for k, v in TLS_FTPHandler.proto_cmds.items() if k not in o["without"]}

    def handle(self):
        # It has no implicit TLS of its own: TLS comes before the greeting.
        if o.get("implicit"):
            self.secure_connection(self.get_ssl_context())
        super().handle()


if o.get("zone") and not o.get("mdtm_local"):
    # MDTM in UTC as RFC 3659 has it, whatever LIST says.
    import time
    import os

    def ftp_MDTM(self, path):
        try:
            when = time.gmtime(self.fs.getmtime(path))
        except OSError as err:
            self.respond("550 %s." % err.strerror)
            return None
        self.respond("213 " + time.strftime("%Y%m%d%H%M%S", when))
        return path

    Handler.ftp_MDTM = ftp_MDTM

Handler.authorizer.add_user(o["user"], o["password"], o["home"],
                            perm="elr" if o["read_only"] else "elradfmwMT")
server = FTPServer(("127.0.0.1", o["control"]), Handler)
if o.get("max_sessions"):
    server.max_cons = o["max_sessions"] + 1  # it counts its own socket too
server.serve_forever()

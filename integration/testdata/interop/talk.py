"""Speaks a list of commands with ftplib, one a line of standard input, and prints each reply on one line.

A line "! ACTION ARGUMENT..." asks for what takes a data connection."""
import ftplib
import io
import os
import sys

from move import connect


def retr(ftp, *command):
    got = io.BytesIO()
    reply = ftp.retrbinary(" ".join(command), got.write)
    return reply + " | " + got.getvalue().decode()


def stor(ftp, text, *command):
    return ftp.storbinary(" ".join(command), io.BytesIO(text.encode()))


def during(ftp, name, asked):
    """Asks something while a download stands still."""
    conn = ftp.transfercmd("RETR " + name)
    conn.recv(1)
    reply = ftp.sendcmd(asked)
    if asked == "ABOR":  # 426 for the transfer came first, by an exception or not
        raise AssertionError("ABOR of a transfer was answered " + reply)
    while conn.recv(1 << 16):
        pass
    conn.unwrap().close()
    return reply + " | " + ftp.voidresp()


def abor(ftp, name):
    conn = ftp.transfercmd("RETR " + name)
    conn.recv(1)
    first = ftp.abort()
    conn.close()
    return first + " | " + ftp.getmultiline() if first.startswith("426") else first


def main():
    ftp = connect(sys.argv[1])
    for line in sys.stdin.read().splitlines():
        try:
            if line.startswith("! "):
                action, *rest = line[2:].split()
                reply = {"retr": retr, "stor": stor, "during": during, "abor": abor}[action](ftp, *rest)
            else:
                reply = ftp.sendcmd(line)
        except ftplib.Error as e:
            reply = str(e)
        print(" | ".join(reply.splitlines()))
    ftp.quit()


main()

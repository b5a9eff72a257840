"""The same exchange through every system call that moves bytes: `shapes.py serve TARGET` and `shapes.py call TARGET`.

For each shape in turn one connection carries EXCHANGES exchanges, `POST /SHAPE/N`. Both sides know every message to the
byte, so reading needs no parser and can be shaped at will. All sockets block.
"""

import os
import socket
import sys
import tempfile
import time

import truth

EXCHANGES = 5
_FILE_BYTES = 300_000


def _send(sock, pieces):
    sock.sendall(b"".join(pieces))


def _write(sock, pieces):
    os.write(sock.fileno(), b"".join(pieces))


def _writev(sock, pieces):
    os.writev(sock.fileno(), pieces)


def _sendmsg(sock, pieces):
    sock.sendmsg(pieces)


def _sendfile(sock, pieces):
    """The last piece goes from a file to the socket without passing through memory of ours."""
    sock.sendall(b"".join(pieces[:-1]))
    with tempfile.TemporaryFile() as file:
        file.write(pieces[-1])
        file.flush()
        sent = 0
        while sent < len(pieces[-1]):
            sent += os.sendfile(sock.fileno(), file.fileno(), sent, len(pieces[-1]) - sent)


def _until(length, read):
    while length > 0:
        got = read(length)
        if got == 0:
            raise ConnectionError("the peer closed the connection")
        length -= got


def _recv(sock, length):
    _until(length, lambda left: len(sock.recv(min(left, 65536))))


def _read(sock, length):
    _until(length, lambda left: len(os.read(sock.fileno(), min(left, 65536))))


def _buffers(left):
    """Buffers of uneven sizes, the first ones small, that together hold what is left."""
    small = [bytearray(size) for size in (7, 11, 1) if left > 32]
    return [*small, bytearray(left - sum(map(len, small)))]


def _readv(sock, length):
    _until(length, lambda left: os.readv(sock.fileno(), _buffers(left)))


def _recvmsg(sock, length):
    _until(length, lambda left: sock.recvmsg_into(_buffers(left))[0])


def _peek(sock, length):
    sock.recv(length, socket.MSG_PEEK)
    sock.recv(10, socket.MSG_PEEK)
    _recv(sock, length)


def _waitall(sock, length):
    _until(length, lambda left: len(sock.recv(left, socket.MSG_WAITALL)))


# Name: how messages are sent and how they are read.
SHAPES = {
    "send": (_send, _recv),
    "write": (_write, _read),
    "writev": (_writev, _readv),
    "sendmsg": (_sendmsg, _recvmsg),
    "peek": (_send, _peek),
    "waitall": (_send, _waitall),
    "twelve": (_sendmsg, _recv),
    "sendfile": (_sendfile, _recv),
}


def _messages(shape, number):
    """Request and answer, each in pieces; the body begins in the last one (`twelve`: in the ninth of twelve)."""
    request_body, answer_body = [b"hello"], [b"world"]
    fields = []
    if shape == "twelve":
        fields = [b"x-first: 1\r\n", b"x-second: 2\r\n"]
        request_body = answer_body = [b"one", b"two", b"three", b"four"]
    if shape == "sendfile":
        answer_body = [b"f" * _FILE_BYTES]
    request = [b"POST /", shape.encode(), b"/%d HTTP/1.1\r\n" % number, b"host: shapes\r\n", *fields]
    answer = [b"HTTP/1.1 ", b"200 ", b"OK\r\n", b"server: shapes\r\n", *fields]
    for head, body in ((request, request_body), (answer, answer_body)):
        head += [b"content-length: %d\r\n" % sum(map(len, body)), b"\r\n", *body]
    return request, answer


def _socket_of(target):
    host, port = target.rsplit(":", 1)
    return (host, int(port))


def _serve(target):
    listener = socket.create_server(_socket_of(target))
    # The harness knocks on the port until it is there; that connection carries nothing.
    listener.accept()[0].close()
    for shape, (send, read) in SHAPES.items():
        connection, _ = listener.accept()
        for number in range(EXCHANGES):
            request, answer = _messages(shape, number)
            read(connection, len(b"".join(request)))
            send(connection, answer)
        connection.close()


def _call(target):
    sys.stdin.readline()
    for shape, (send, read) in SHAPES.items():
        connection = socket.create_connection(_socket_of(target))
        for number in range(EXCHANGES):
            request, answer = _messages(shape, number)
            start = time.time_ns()
            # Only servers send files here: a request has no body worth one.
            (_send if shape == "sendfile" else send)(connection, request)
            read(connection, len(b"".join(answer)))
            truth.seen_out(f"{shape}{number}", truth.ends(connection), start)
        connection.close()
    print("done", flush=True)


_serve(sys.argv[2]) if sys.argv[1] == "serve" else _call(sys.argv[2])
sys.stdin.read()

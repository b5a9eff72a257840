"""Makes a small program of Go's kind out of a large one: the functions that the adapter reads, and the table of their names.

Calls among these functions lead where they did, all others to one that returns. Usage, with Go and binutils:

    go build -o program SOME_PROGRAM_THAT_USES_NET_HTTP
    python3 go.py program > small.s
    gcc -nostdlib -static -no-pie -s -Wl,-z,noseparate-code,-z,max-page-size=4096,--build-id=none -o ../corpus/elf/go small.s
"""

import re
import subprocess
import sys

# And how many bytes of each are enough.
FUNCTIONS = {
    "runtime.systemstack": 4000,
    "runtime.casgstatus": 64,
    "runtime.newproc1": 4000,
    "runtime.newproc.func1": 4000,
    "runtime.runqput": 64,
    "runtime.gdestroy": 4000,
    "runtime.goexit0": 200,
    "runtime.coroswitch": 4000,
    "runtime.chansend": 900,
    "runtime.send": 4000,
    "time.AfterFunc": 4000,
    "net/http.(*persistConn).roundTrip": 160,
    "net/http.(*persistConn).writeLoop": 160,
    "net/http.(*persistConn).Read": 4000,
}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions(program):
    """Address and size of each, by its name, in the order of addresses."""
    found = {}
    for line in run("go", "tool", "nm", "-sort", "address", "-size", program).splitlines():
        address, size, kind, *name = line.split(None, 3)
        name = "".join(name).removesuffix(".abi0")
        if kind in "tT" and name in FUNCTIONS:
            found[name] = int(address, 16), min(int(size), FUNCTIONS[name])
    return found


def code(program, address, size, labels):
    for line in run("objdump", "-d", "--wide", f"--start-address={address}", f"--stop-address={address + size}", program).splitlines():
        match = re.match(r"\s*[0-9a-f]+:\t([0-9a-f ]+)\t(.*)", line)
        if not match:
            continue
        called = re.match(r"call\s+[0-9a-f]+ <(.+?)(\.abi0)?>", match[2])
        if called:
            yield f"call {labels.get(called[1], 'other')}"
        else:
            yield ".byte " + ", ".join("0x" + byte for byte in match[1].split())


def main(program):
    found = functions(program)
    labels = {name: f"function{number}" for number, name in enumerate(found)}
    print(".globl _start\n_start:\ntext:\nother: ret")
    for name, (address, size) in found.items():
        print(f".p2align 4\n{labels[name]}:", *code(program, address, size, labels), sep="\n")
    print(".p2align 4\ntext_end:")
    names, offsets = b"\0", {}
    for name in found:
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    # pcHeader of Go 1.20 and later (runtime/symtab.go): functions, files, text, and where its parts are.
    print('.section .gopclntab, "a"\n.p2align 5\ntable: .long 0xfffffff1\n.byte 0, 0, 1, 8')
    print(f".quad {len(found)}, 0, text, names - table" + ", names_end - table" * 3 + ", entries - table")
    print("names: .byte", ", ".join(map(str, names)), "\nnames_end:\n.p2align 3\nentries:")
    for label in labels.values():
        print(f".long {label} - text, about_{label} - entries")
    print(".long text_end - text")
    for name, label in labels.items():
        print(f"about_{label}: .long {label} - text, {offsets[name]}")
    print('.section .go.buildinfo, "a"\n.p2align 4\n.ascii "\\377 Go buildinf:"\n.byte 8, 2\n.zero 16')
    print('.byte 8\n.ascii "go1.26.8"\n.byte 0\n.section .note.GNU-stack, "", @progbits')


main(sys.argv[1])

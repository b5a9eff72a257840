"""`client.py TARGET COUNT IDS`: waits for a line on its input, then makes COUNT calls in turn over one kept-alive
connection with the ids IDS1, IDS2, ..., says `done` and lives on until its input ends, so that it can be looked at."""

import sys

import calls

target, count, ids = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sys.stdin.readline()
caller = calls.Caller(target)
for number in range(1, count + 1):
    caller.call(f"{ids}{number}")
print("done", flush=True)
sys.stdin.read()

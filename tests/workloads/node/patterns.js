// `patterns.js MODE LISTEN BACKEND`: a server of Node's own http whose requests change hands before they call.
// $SERVICE_MS is the longest service time before a call, $SEED begins their sequence.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const timers = require("node:timers/promises");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const [mode, listen, backend] = isMainThread ? process.argv.slice(2) : workerData.argv;
const agent = new http.Agent({ keepAlive: true, maxSockets: mode === "agent-queue" ? 8 : Infinity });
const most = Number(process.env.SERVICE_MS ?? 0);
let state = Number(process.env.SEED ?? 1) * 1000 + (isMainThread ? 0 : workerData.number);

// Mulberry32.
function serviceTime() {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most;
}

// One call, as soon as the agent has a socket for it.
function call(id) {
  return new Promise((resolve, reject) => {
    const request = http.get(`http://${backend}/work`, { agent, headers: { "x-truth": id } }, (answer) => {
      answer.resume();
      answer.on("end", resolve);
    });
    request.on("error", reject);
  });
}

async function later(id) {
  await timers.setTimeout(serviceTime());
  await call(id);
}

// 16 loops take jobs out of a list, and wait for a promise where there is none.
function promisePool() {
  const jobs = [];
  const idle = [];
  async function work() {
    for (;;) {
      const job = jobs.shift() ?? (await new Promise((resolve) => idle.push(resolve)));
      await later(job.id);
      job.made();
    }
  }
  for (let number = 0; number < 16; number++) work();
  return (id) =>
    new Promise((made) => {
      const job = { id: `${id}.1`, made };
      const waiting = idle.shift();
      if (waiting) waiting(job);
      else jobs.push(job);
    });
}

// Up to four requests within 10 ms wait for one promise, whose call is made for all of them.
function sharedPromise() {
  let number = 0;
  let batch = null;
  return (id) => {
    if (batch === null || batch.ids.length === 4) {
      const made = { ids: [] };
      made.promise = timers.setTimeout(10).then(() => {
        if (batch === made) batch = null;
        return call(`${made.ids.join("+")}.${number++}`);
      });
      batch = made;
    }
    batch.ids.push(id);
    return batch.promise;
  };
}

// Four threads with an event loop each.
function workerThreads() {
  const waiting = new Map();
  const threads = Array.from({ length: 4 }, (_, number) => {
    const thread = new Worker(__filename, { workerData: { argv: [mode, listen, backend], number: number + 1 } });
    thread.on("message", (id) => {
      waiting.get(id)();
      waiting.delete(id);
    });
    return thread;
  });
  let next = 0;
  return (id) =>
    new Promise((made) => {
      waiting.set(`${id}.1`, made);
      threads[next++ % threads.length].postMessage(`${id}.1`);
    });
}

// By name: what is done for a request.
const modes = {
  direct: () => (id) => call(`${id}.1`),
  "await-timer": () => (id) => later(`${id}.1`),
  "set-timeout": () => (id) => new Promise((made) => setTimeout(() => call(`${id}.1`).then(made), serviceTime())),
  "fs-promises": () => async (id) => {
    await fs.promises.readFile(__filename);
    await call(`${id}.1`);
  },
  "promise-all": () => (id) => Promise.all([1, 2, 3].map((part) => later(`${id}.${part}`))),
  "agent-queue": () => (id) => later(`${id}.1`),
  fetch: () => async (id) => {
    await timers.setTimeout(serviceTime());
    const answer = await fetch(`http://${backend}/work`, { headers: { "x-truth": `${id}.1` } });
    await answer.text();
  },
  "promise-pool": promisePool,
  "shared-promise": sharedPromise,
  "worker-threads": workerThreads,
};

if (isMainThread) {
  const serve = modes[mode]();
  const [host, port] = listen.split(":");
  const server = http.createServer(async (request, answer) => {
    await serve(request.headers["x-truth"]);
    answer.setHeader("content-length", 3);
    answer.end("ok\n");
  });
  server.listen({ host, port: Number(port), backlog: 1024 });
} else {
  parentPort.on("message", async (id) => {
    await later(id);
    parentPort.postMessage(id);
  });
}

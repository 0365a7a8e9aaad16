// The connection to the daemon.
//
// What lives here: reading, the stream of events, and the honest state of the connection. What must not: the
// page. Reading needs no token. The stream is taken up again by itself, after a second at first and
// after ten at most; while it is away every look at `age()` grows.

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 10000;
const SILENT_MS = 6000; // The daemon says something every two seconds.
const READ_MS = 10000;
const ACT_MS = 65000; // A sale is waited for until it is committed.

/** Read /api/v1/{path}; raises Error with the daemon's sentence, or with ours. */
export async function read(path) {
  const reply = await fetch(`/api/v1/${path}`, { cache: "no-store", signal: AbortSignal.timeout(READ_MS) });
  const told = await reply.json().catch(() => null);
  if (!reply.ok) throw new Error(told?.error ?? `the daemon answered ${reply.status}`);
  return told;
}

/** The items of a reply: a bare list, or one inside an object. */
export function items(told) {
  if (Array.isArray(told)) return told;
  for (const value of Object.values(told ?? {})) if (Array.isArray(value)) return value;
  return [];
}

/** Send an action; gives { status, told, after } and raises only when nobody answers. */
export async function act(path, body, token) {
  const reply = await fetch(`/api/v1/${path}`, {
    method: "POST",
    cache: "no-store",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify(body ?? {}),
    signal: AbortSignal.timeout(ACT_MS),
  });
  const told = await reply.json().catch(() => null);
  return { status: reply.status, told, after: reply.headers.get("Retry-After") };
}

/** The stream of events. `on` has listeners: snapshot(data), fact(data), log(data), state(…): "live" once a
 * snapshot came, "waiting" while a daemon that starts has none, "lost". */
export class Feed {
  #source = null;
  #heard = null;
  #opened = 0;
  #pause = FIRST_PAUSE_MS;
  #on;
  #state = "connecting";

  constructor(on) {
    this.#on = on;
  }

  start() {
    this.#open();
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#reopen());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#watch(); });
  }

  /** Seconds since the daemon last said something; null when it never did. */
  age() {
    return this.#heard === null ? null : (performance.now() - this.#heard) / 1000;
  }

  get state() {
    return this.#state;
  }

  #open() {
    const source = new EventSource("/api/v1/events");
    this.#source = source;
    this.#opened = performance.now();
    for (const name of ["snapshot", "fact", "log", "ping"]) {
      source.addEventListener(name, (event) => {
        if (source !== this.#source) return;
        this.#heard = performance.now();
        this.#pause = FIRST_PAUSE_MS;
        if (name === "snapshot" || this.#state !== "live") this.#tell(name === "snapshot" ? "live" : "waiting");
        this.#on[name]?.(JSON.parse(event.data || "null"));
      });
    }
    source.addEventListener("error", () => { if (source === this.#source) this.#lose(); });
  }

  #watch() {
    const last = Math.max(this.#heard ?? 0, this.#opened);
    if (this.#source !== null && performance.now() - last > SILENT_MS) this.#lose();
    this.#on.tick?.();
  }

  #lose() {
    this.#close();
    this.#tell("lost");
    setTimeout(() => this.#reopen(), this.#pause);
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
  }

  #reopen() {
    if (this.#source !== null && this.#state === "live") return;
    this.#close();
    this.#open();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #tell(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state?.(state);
  }
}

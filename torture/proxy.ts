import { connect, createServer, type Socket } from 'node:net';

/** `up`: towards the server. */
export type Way = 'up' | 'down';

/** What the network does to connections; those it does not name pass. */
export type NetFault =
  /** Every piece comes so much later, in both directions. */
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  /** Cut on both sides once `after` bytes went that way, in the connections with these numbers, from 0. */
  | { readonly kind: 'reset'; readonly way: Way; readonly after: number; readonly connections: readonly number[] }
  /** From there on neither side hears anything any more, no end and no reset either. */
  | { readonly kind: 'vanish'; readonly way: Way; readonly after: number; readonly connections: readonly number[] }
  /** Accepts, and neither passes on nor answers anything, for so long after the first connection. */
  | { readonly kind: 'black-hole'; readonly forMs: number };

/** One connection so far: the bytes that were passed on. */
export interface Passed {
  up: number;
  down: number;
  cut: boolean;
}

export interface NetProxy extends AsyncDisposable {
  readonly port: number;
  readonly connections: readonly Passed[];
  /** Connections that were cut after something had gone up: what was in flight there may come twice. */
  doubtful(): number;
}

/** Stands between a client and the server on `port`, on loopback. */
export async function startProxy(port: number, fault?: NetFault): Promise<NetProxy> {
  const connections: Passed[] = [];
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let holeUntilMs: number | undefined;

  const later = (ms: number, work: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const passed: Passed = { up: 0, down: 0, cut: false };
    const index = connections.push(passed) - 1;
    sockets.add(client);
    client.on('error', () => {}).on('close', () => sockets.delete(client));
    if (fault?.kind === 'black-hole') {
      holeUntilMs ??= performance.now() + fault.forMs;
      if (performance.now() < holeUntilMs) {
        passed.cut = true;
        return void client.on('data', () => {}).on('end', () => client.end());
      }
    }
    const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    sockets.add(upstream);
    upstream.on('error', () => {}).on('close', () => sockets.delete(upstream));

    const limited = fault !== undefined && 'connections' in fault && fault.connections.includes(index);
    const cut = () => {
      passed.cut = true;
      if (fault?.kind !== 'reset') return;
      client.resetAndDestroy();
      upstream.destroy();
    };
    const pump = (way: Way, from: Socket, to: Socket) => {
      /** When what was given last is through. */
      let freeAtMs = 0;
      const put = (piece: Buffer) => {
        if (passed.cut) return;
        const left = limited && fault.way === way ? fault.after - passed[way] : Number.POSITIVE_INFINITY;
        const through = piece.subarray(0, Math.max(0, Math.min(piece.length, left)));
        passed[way] += through.length;
        const isLast = limited && fault.way === way && passed[way] >= fault.after;
        if (isLast) passed.cut = true;
        if (through.length > 0) to.write(through, () => (isLast ? cut() : undefined));
        else if (isLast) cut();
      };
      const inTime = (bytes: number, work: () => void) => {
        if (fault?.kind !== 'latency' && fault?.kind !== 'bandwidth') return work();
        const takesMs = fault.kind === 'bandwidth' ? (bytes / fault.bytesPerSecond) * 1000 : 0;
        const nowMs = performance.now();
        freeAtMs = Math.max(freeAtMs, nowMs) + takesMs;
        const waitMs = fault.kind === 'latency' ? fault.ms : freeAtMs - nowMs;
        later(waitMs, work);
      };
      // A wire with a low bandwidth holds little: its sender must feel it.
      from.on('data', (piece: Buffer) => {
        if (fault?.kind !== 'bandwidth') return inTime(piece.length, () => put(piece));
        from.pause();
        inTime(piece.length, () => {
          put(piece);
          from.resume();
        });
      });
      from.on('end', () => inTime(0, () => (passed.cut ? undefined : to.end())));
      from.on('close', (failed) => inTime(0, () => (passed.cut || !failed ? undefined : to.destroy())));
    };
    if (limited && fault.after === 0 && fault.way === 'up') cut();
    pump('up', client, upstream);
    pump('down', upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connections,
    doubtful: () => connections.filter(({ cut, up }) => cut && up > 0).length,
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An address with another port, and the one it had. */
export function redirected(entry: string, to: (port: number) => number): string {
  return entry.replace(/(127\.0\.0\.1|localhost):(\d+)/, (_, host, port) => `${host}:${to(Number(port))}`);
}

export const portIn = (entry: string): number => Number(/(?:127\.0\.0\.1|localhost):(\d+)/.exec(entry)?.[1]);

import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Row, skipped } from './table.ts';

export const scenarios = {
  'link': 'a real network: the link down for three seconds',
  'drop': 'a real network: a black hole for four seconds (packets dropped both ways)',
  'back': 'a real network: what comes back is dropped for four seconds',
  'gone': 'a real network: half-open, all peers gone without a word, new connections pass',
  'loss': 'a real network: one packet in ten lost both ways',
  'slow': 'a real network: 1 Mbit a second, packets dropped beyond (tbf)',
  'netem': 'a real network: delay, jitter, loss, reordering, duplication (netem)',
  'stuck': 'a real network: stuck for 13 s with more to write, new connections pass',
} as const; // biome-ignore format: a table
export type Scenario = keyof typeof scenarios;

/** The forwarder's namespace, and that of its source and its collectors. */
export interface Namespaces {
  readonly forwarder: string;
  readonly peers: string;
  /** The forwarder's end of the link. */
  readonly link: string;
}

export function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/**
 * The forwarder in one network namespace, everything it speaks to in another, and a link of the kernel's between them. Both
 * sides believe that they are on loopback: the kernel translates the addresses, and no proxy confirms anything.
 */
export async function namespaceRows(only: (name: string) => boolean): Promise<Row[]> {
  const wanted = (Object.keys(scenarios) as Scenario[]).filter((which) => only(scenarios[which]));
  if (wanted.length === 0) return [];
  const skipAll = (why: string) => wanted.map((which) => skipped(scenarios[which], why));
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return skipAll('needs root on Linux');
  const names = { forwarder: `torture-f${process.pid}`, peers: `torture-p${process.pid}`, link: 'torture0' };
  try {
    try {
      setUp(names);
    } catch (error) {
      const said = (error as { stderr?: Buffer }).stderr?.toString().trim().split('\n')[0];
      return skipAll(`no namespaces with address translation here (${said || (error as Error).message.slice(0, 80)})`);
    }
    return await inside(names, wanted);
  } finally {
    for (const name of [names.forwarder, names.peers])
      try {
        ip('netns', 'del', name);
      } catch {
        // It was not made.
      }
  }
}

function setUp({ forwarder, peers, link }: Namespaces): void {
  const [here, there] = ['10.231.77.1', '10.231.77.2'];
  for (const name of [forwarder, peers]) ip('netns', 'add', name);
  ip('link', 'add', link, 'netns', forwarder, 'type', 'veth', 'peer', 'name', link, 'netns', peers);
  for (const [name, address] of [
    [forwarder, here],
    [peers, there],
  ] as const) {
    ip('-n', name, 'addr', 'add', `${address}/30`, 'dev', link);
    for (const device of ['lo', link]) ip('-n', name, 'link', 'set', device, 'up');
    const allow = 'for f in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 > $f; done';
    ip('netns', 'exec', name, 'sh', '-c', allow);
  }
  const nat = (name: string, ...rule: readonly string[]) =>
    ip('netns', 'exec', name, 'iptables', '-t', 'nat', '-A', ...rule);
  nat(forwarder, 'OUTPUT', '-p', 'tcp', '-d', '127.0.0.1', '-j', 'DNAT', '--to-destination', there);
  nat(forwarder, 'POSTROUTING', '-p', 'tcp', '-o', link, '-j', 'SNAT', '--to-source', here);
  nat(peers, 'PREROUTING', '-p', 'tcp', '-d', there, '-j', 'DNAT', '--to-destination', '127.0.0.1');
}

/** The kit's own half runs among the peers, and has the forwarder started on the other side. */
async function inside(names: Namespaces, wanted: readonly Scenario[]): Promise<Row[]> {
  const file = fileURLToPath(new URL('./peers.ts', import.meta.url));
  const child = spawn('ip', ['netns', 'exec', names.peers, process.execPath, file, JSON.stringify(names), ...wanted], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TORTURE_WITHIN: names.forwarder },
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`the peers' side of the kit ended with ${String(code)}`);
  return JSON.parse(said) as Row[];
}

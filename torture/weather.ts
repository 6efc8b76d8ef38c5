import { execFileSync } from 'node:child_process';
import { ip, type Namespaces, type Scenario } from './namespaces.ts';

interface Weather {
  /** For how long, milliseconds; the whole run where absent. */
  readonly ms?: number;
  /** Begins it; gives what ends it. */
  begin(): () => void;
}

/** What can be done to the link, from the forwarder's side of it. */
export class Link {
  readonly #names: Namespaces;

  constructor(names: Namespaces) {
    this.#names = names;
  }

  /** Runs a command where the forwarder is. */
  within(...args: readonly string[]): void {
    ip('netns', 'exec', this.#names.forwarder, ...args);
  }

  weather(which: Exclude<Scenario, 'stuck'>): Weather {
    const { forwarder, link } = this.#names;
    const all = [
      ['OUTPUT', '-o', link],
      ['INPUT', '-i', link],
    ];
    switch (which) {
      case 'link':
        return {
          ms: 3_000,
          begin() {
            ip('-n', forwarder, 'link', 'set', link, 'down');
            return () => ip('-n', forwarder, 'link', 'set', link, 'up');
          },
        };
      case 'drop':
        return { ms: 4_000, begin: () => this.#dropping(all) };
      case 'back':
        return { ms: 4_000, begin: () => this.#dropping([['INPUT', '-i', link]]) };
      case 'gone':
        return { ms: 4_000, begin: () => this.silence(this.connections().map(({ port }) => port)) };
      case 'loss': {
        const chance = ['-m', 'statistic', '--mode', 'random', '--probability', '0.1'];
        return { begin: () => this.#dropping(all.map((rule) => [...rule, ...chance])) };
      }
      case 'slow':
        return { begin: () => this.#queueing('tbf', 'rate', '1mbit', 'burst', '4kb', 'latency', '60ms') };
      case 'netem':
        return {
          begin: () =>
            this.#queueing('netem', 'delay', '30ms', '15ms', 'loss', '5%', 'reorder', '25%', 'duplicate', '5%'),
        };
    }
  }

  /** The forwarder's connections: its port, the peer's, and what the peer's kernel has not acknowledged, bytes. */
  connections(): { port: string; peerPort: string; unacknowledgedBytes: number }[] {
    const listed = execFileSync('ip', ['netns', 'exec', this.#names.forwarder, 'ss', '-tnH', 'state', 'established'], {
      encoding: 'utf8',
    });
    // Recv-Q Send-Q Local:Port Peer:Port
    return listed.split('\n').flatMap((line) => {
      const [, queue = '', port = '', peerPort = ''] = /^\S+\s+(\d+)\s+\S+:(\d+)\s+\S+:(\d+)/.exec(line.trim()) ?? [];
      return port === '' ? [] : [{ port, peerPort, unacknowledgedBytes: Number(queue) }];
    });
  }

  /** Nothing passes over the connections with these ports of the forwarder any more; gives what ends it. */
  silence(ports: readonly string[]): () => void {
    const { link } = this.#names;
    if (ports.length === 0) throw new Error('no connection to leave half-open');
    return this.#dropping(
      ports.flatMap((port) => [
        ['OUTPUT', '-o', link, '-p', 'tcp', '--sport', port],
        ['INPUT', '-i', link, '-p', 'tcp', '--dport', port],
      ]),
    );
  }

  #dropping(rules: readonly (readonly string[])[]): () => void {
    const change = (how: '-A' | '-D') => {
      for (const rule of rules) this.within('iptables', how, ...rule, '-j', 'DROP');
    };
    change('-A');
    return () => change('-D');
  }

  #queueing(...discipline: readonly string[]): () => void {
    const { link } = this.#names;
    this.within('tc', 'qdisc', 'add', 'dev', link, 'root', ...discipline);
    return () => this.within('tc', 'qdisc', 'del', 'dev', link, 'root');
  }
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Run, type Served, serve } from './process.ts';
import type { ServerOptions } from './servers/servers.ts';
import { apiLimit, type settings } from './settings.ts';

/** What the scenarios of one bench share: a directory, settings and the sources that remember their pages. */
export class Bench implements Disposable {
  readonly settings: typeof settings;
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-'));
  readonly #sources = new Map<string, Promise<Served>>();
  #runs = 0;

  constructor(given: typeof settings) {
    this.settings = given;
  }

  /** A new, unused path. */
  newPath(): string {
    return join(this.directory, `${++this.#runs}`);
  }

  /** A source without a limit, shared by all that ask for the same. */
  source(events: number, options: Partial<ServerOptions> = {}): Promise<Served> {
    const wanted: ServerOptions = { ...options, kind: 'source', events };
    const key = JSON.stringify(wanted);
    const known = this.#sources.get(key) ?? serve(wanted);
    this.#sources.set(key, known);
    return known;
  }

  /** Writes a configuration file with a separate state directory. `more`: further keys of `source`; `block`: a further line. */
  configure(source: Served, sinks: readonly string[], more = '', block = ''): string {
    const place = this.newPath();
    mkdirSync(place);
    const file = join(place, 'config.yaml');
    const text = `source: { url: "${source.url}", apiKey: ${source.token}, requestsPerSecond: ${apiLimit}${more === '' ? '' : `, ${more}`} }
state: { directory: "${place}/state" }
sinks:
${sinks.map((sink) => `  - ${sink}`).join('\n')}
log: { level: warn }
shutdownTimeout: 2s
${block}
`;
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources.values()) void source.then((served) => served[Symbol.dispose]());
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Runs and sees that each event arrived once: at `server`, or without one on standard output. */
export async function counted(run: () => Promise<Run>, expected: number, server?: Served): Promise<Run> {
  const before = (await server?.count()) ?? 0;
  const done = await run();
  const came = server === undefined ? done.lines : (await server.count()) - before;
  if (came !== expected) throw new Error(`${came} of ${expected} events arrived`);
  return done;
}

/** The sinks that are measured, as they stand in a configuration. */
export const hecSink = (hec: Served, more = 'acknowledgement: false', name = 'splunk') =>
  `{ name: ${name}, type: splunk-hec, url: "${hec.url}", token: "${hec.token}", ${more} }`;

export const syslogSink = (server: Served, name = 'syslog') =>
  `{ name: ${name}, type: syslog, address: "${server.url}"${server.caFile === '' ? '' : `, tls: { caFile: "${server.caFile}" }`} }`;

export const stdoutSink = '{ name: console, type: stdout }';

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startHecServer } from './hec-server.ts';
import { startProgram } from './program.ts';
import { scratch } from './scratch.ts';

export const key = 'SIEM-LOG-ONLY-demo';

export interface ConfigOptions {
  /** Members of `source` besides its address, key, pace and schedule, as YAML flow text. */
  readonly source?: string;
  /** Replaces `apiKey: …`. */
  readonly apiKey?: string;
  /** Sinks as YAML flow texts. Default: one stdout. */
  readonly sinks?: readonly string[];
  readonly state?: string;
}

/** Configurations and runs in a scratch directory of the test file's own. */
export function runs() {
  const place = scratch();
  let count = 0;

  function configure(url: string, options: ConfigOptions = {}): { file: string; state: string } {
    count += 1;
    const state = options.state ?? join(place.directory, `state-${count}`);
    const sinks = options.sinks ?? ['{ name: console, type: stdout }'];
    const file = join(place.directory, `config-${count}.yaml`);
    const more = options.source === undefined ? '' : `, ${options.source}`;
    writeFileSync(
      file,
      `source: { url: "${url}", ${options.apiKey ?? `apiKey: ${key}`}, requestsPerSecond: 20, schedule: "* * * * * *"${more} }
state: { directory: "${state}" }
sinks:
${sinks.map((sink) => `  - ${sink}`).join('\n')}
`,
      { mode: 0o600 },
    );
    return { file, state };
  }

  /** What `once` brings to stdout and to two collectors. */
  async function drain(url: string, options: ConfigOptions = {}, args: readonly string[] = []) {
    await using first = await startHecServer();
    await using second = await startHecServer();
    const sinks = [
      '{ name: console, type: stdout }',
      `{ name: first, type: splunk-hec, url: "${first.url}", token: "${first.token}" }`,
      `{ name: second, type: splunk-hec, url: "${second.url}", token: "${second.token}", compression: none }`,
    ];
    const { file, state } = configure(url, { sinks, ...options });
    const program = startProgram(['once', '-c', file, ...args]);
    const code = await program.ended;
    return {
      code,
      state,
      stderr: program.stderr(),
      console: program.stdout().split('\n').slice(0, -1),
      first: first.events.map(({ raw }) => String(raw)),
      second: second.events.map(({ raw }) => String(raw)),
    };
  }

  return { ...place, configure, drain };
}

/** An event's text. */
export const eventText = (id: number | bigint, meta = '{}', createdAt = '2026-01-01T00:00:00.000Z') =>
  `{"id":${id},"user":null,"action":"user.login","ip":"192.0.2.1","userAgent":"x","createdAt":"${createdAt}","meta":${meta}}`;

export const idOf = (text: string): number => (JSON.parse(text) as { id: number }).id;

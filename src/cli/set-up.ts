import type { Context } from '../app/context.ts';
import { type Loaded, loadConfigWithPlugins } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { bigintsAsText } from '../lib/json.ts';
import { setNetworkDefaults } from '../lib/network-defaults.ts';
import { SchemaDrift } from '../source/schema-drift.ts';
import { createEmit } from '../telemetry/emit.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { Emit } from '../telemetry/telemetry-event.ts';
import { version } from '../version.ts';
import type { CliContext } from './command.ts';

/** The configuration, or undefined if it is invalid: then its problems are on stderr. */
export async function readConfig(
  file: string | undefined,
  cli: CliContext,
): Promise<Extract<Loaded, { ok: true }> | undefined> {
  const loaded = await loadConfigWithPlugins({ file, env: cli.env });
  if (loaded.ok) return loaded;
  for (const problem of loaded.problems) cli.complain(formatProblem(problem));
  return undefined;
}

export interface RealContext extends Context {
  setLogLevel(level: Config['log']['level']): void;
}

/** Clock, randomness and log of the process; `also` gets every telemetry event too. */
export function realContext(config: Config, cli: CliContext, also: Emit = () => {}): RealContext {
  const logger = createLogger({ level: config.log.level, output: cli.stderr });
  setNetworkDefaults({ tls: mentionsTls(config, cli.env) });
  const log = createEmit({ logger, now: () => performance.now() });
  cli.stderr.onRoom((lines) => log({ event: 'log.dropped', lines }));
  return {
    version,
    env: cli.env,
    emit: (event) => {
      log(event);
      also(event);
    },
    now: Date.now,
    random: Math.random,
    schemaDrift: new SchemaDrift(),
    wake: cli.hangup,
    ...(cli.strayErrors !== undefined && { strayErrors: cli.strayErrors }),
    droppedLogLines: () => cli.stderr.dropped,
    setLogLevel: logger.setLevel,
  };
}

/** Whether an address with TLS is named anywhere. The audit log of a real tenant always is. */
function mentionsTls(config: Config, env: CliContext['env']): boolean {
  const text = JSON.stringify({ config, env }, bigintsAsText);
  return /"(https|tls|relp\+tls):/.test(text);
}

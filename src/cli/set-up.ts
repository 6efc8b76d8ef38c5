import type { World } from '../app/compose.ts';
import { Drift } from '../app/schema-drift.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { createObserve } from '../telemetry/emit.ts';
import { createLogger } from '../telemetry/logger.ts';
import { stderrIsJournal } from '../telemetry/systemd-journal.ts';
import type { Observe } from '../telemetry/telemetry-event.ts';
import { version } from '../version.ts';
import type { Surroundings } from './command.ts';

/** The configuration, or undefined where its problems were told. */
export function readConfig(file: string | undefined, around: Surroundings): Extract<Loaded, { ok: true }> | undefined {
  const loaded = loadConfig({ file, env: around.env });
  if (loaded.ok) return loaded;
  for (const problem of loaded.problems) around.complain(formatProblem(problem));
  return undefined;
}

export interface RealWorld extends World {
  setLogLevel(level: Config['log']['level']): void;
}

/** Logging, clock and chance of the real world. */
export function realWorld(config: Config, around: Surroundings, also: Observe = () => {}): RealWorld {
  const logger = createLogger({
    level: config.log.level,
    terminal: around.stderrIsTerminal,
    journal: stderrIsJournal(around.env),
  });
  const log = createObserve({ logger, now: () => performance.now() });
  return {
    version,
    env: around.env,
    observe: (happening) => {
      log(happening);
      also(happening);
    },
    now: Date.now,
    random: Math.random,
    drift: new Drift(),
    wake: around.hangup,
    setLogLevel: logger.setLevel,
  };
}

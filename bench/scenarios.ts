import type { Scenario } from './scenario.ts';
import { evidence } from './scenarios/evidence.ts';
import { freshness } from './scenarios/freshness.ts';
import { backlog, pages, sinks } from './scenarios/growth.ts';
import { imports } from './scenarios/import.ts';
import { latency, limit } from './scenarios/pace.ts';
import { peersOverHec, peersOverTcp } from './scenarios/peers.ts';
import { down, idle } from './scenarios/rest.ts';
import { start, startExecutable } from './scenarios/start.ts';
import { telemetry } from './scenarios/telemetry.ts';
import { tuning } from './scenarios/tuning.ts';

export const scenarios: readonly Scenario[] = [
  ...imports,
  evidence,
  limit,
  latency,
  peersOverTcp,
  peersOverHec,
  start,
  startExecutable,
  idle,
  freshness,
  down,
  sinks,
  pages,
  backlog,
  tuning,
  telemetry,
];

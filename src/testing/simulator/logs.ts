import { type EventLog, type GivenEvent, type ListLog, listLog, merged } from './event-log.ts';
import { type GeneratedLog, generatedLog } from './events.ts';
import type { SimulatorOptions } from './simulator.ts';

/** What a simulator reads from, and how it is added to. */
export interface Logs {
  readonly all: EventLog;
  readonly generated: GeneratedLog | undefined;
  /** @throws as Simulator.append */
  append(events: number | readonly (string | GivenEvent)[]): void;
}

/** `now`: the server's clock. @throws {TypeError} for a given text without an integer id */
export function logsOf(options: SimulatorOptions, now: () => number): Logs {
  const { log } = options;
  if (isList(log)) {
    const list = listLog(log, now);
    return { all: list, generated: undefined, append: appendTo(list, undefined) };
  }
  const generated = log === undefined ? generatedLog({ ...defaults(options, now), now }) : undefined;
  const added = listLog([], now);
  const base: EventLog = log ?? generated ?? added;
  return { all: merged(base, added), generated, append: appendTo(added, generated) };
}

function defaults(options: SimulatorOptions, now: () => number) {
  const { seed = 1, events = 1000, rate = 0, epochMs = now(), late } = options;
  return { seed, events, rate, epochMs, late };
}

function appendTo(list: ListLog, generated: GeneratedLog | undefined): Logs['append'] {
  return (events) => {
    if (typeof events !== 'number') return list.add(events);
    if (generated === undefined) throw new RangeError('only a generated log can make events');
    generated.grow(events);
  };
}

function isList(log: SimulatorOptions['log']): log is readonly (string | GivenEvent)[] {
  return Array.isArray(log);
}

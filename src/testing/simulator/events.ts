import { type Action, actions } from './actions.ts';
import type { EventLog } from './event-log.ts';
import { admins, hostileAgents, people, strangers, system } from './fixtures.ts';
import { Prng } from './prng.ts';

/** Mean time between the events that exist at the start, milliseconds. */
const historyStepMs = 20_000;
/** Of so many ids one is never used: a sequence loses numbers in every rollback. */
const idsPerHole = 16;

export interface GeneratedOptions {
  readonly seed: number;
  /** How many exist at `epochMs`. */
  readonly events: number;
  /** How many more appear each second after it. */
  readonly rate: number;
  /** When `events` existed, milliseconds since 1970. With the same epoch a log is the same after a restart. */
  readonly epochMs: number;
  /** The server's clock. */
  readonly now: () => number;
  /** The share, 0 to 1, of the events after `epochMs` that become visible only `delayMs` after their createdAt. */
  readonly late?: { readonly share: number; readonly delayMs: number } | undefined;
}

/** A log that is computed, not kept: an event is a function of the seed, its index and its time. */
export interface GeneratedLog extends EventLog {
  /** How many events exist now, the not yet visible included. */
  size(): number;
  /** The id of the event with this index; indexes have no holes, ids do. */
  idAt(index: number): bigint;
  /** The index of the first event whose id is greater. */
  indexAfter(id: bigint): number;
  textAt(index: number): string;
  lastId(): bigint;
  /** Makes `events` more, now. @throws {RangeError} where the log has a rate */
  grow(events: number): void;
}

export function generatedLog(options: GeneratedOptions): GeneratedLog {
  const { seed, events, rate, epochMs, now, late } = options;
  const dice = new Prng();
  const grown: { first: number; atMs: number }[] = [];
  let size = events;

  const current = () => {
    // Never less than before, though the clock may go back.
    if (rate > 0) size = Math.max(size, events + Math.floor(((now() - epochMs) * rate) / 1000));
    return size;
  };
  const createdAtMs = (index: number) => {
    if (index < events)
      return epochMs - (events - index) * historyStepMs + dice.aim(seed ^ 0x2f, index).below(historyStepMs);
    return rate > 0
      ? Math.floor(epochMs + ((index - events + 1) * 1000) / rate)
      : (grown.findLast((more) => more.first <= index)?.atMs ?? epochMs);
  };
  const isLate = (index: number) =>
    late !== undefined && index >= events && dice.aim(seed ^ 0x51, index).share() < late.share;
  const isVisible = (index: number, atMs: number) =>
    late === undefined || createdAtMs(index) + late.delayMs <= atMs || !isLate(index);
  const hole = (block: number) => dice.aim(seed ^ 0x83, block).below(idsPerHole);
  const idNumberAt = (index: number) => {
    const block = Math.floor(index / (idsPerHole - 1));
    const place = index % (idsPerHole - 1);
    return 1 + block * idsPerHole + place + (place >= hole(block) ? 1 : 0);
  };
  const indexAfter = (id: bigint) => {
    if (id < 1n) return 0;
    if (id > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
    const block = Math.floor((Number(id) - 1) / idsPerHole);
    const upTo = (Number(id) - 1) % idsPerHole;
    return block * (idsPerHole - 1) + upTo + (upTo >= hole(block) ? 0 : 1);
  };
  const textAt = (index: number) => eventText(idNumberAt(index), createdAtMs(index), dice.aim(seed, index));

  return {
    size: current,
    idAt: (index) => BigInt(idNumberAt(index)),
    indexAfter,
    textAt,
    page(after, count) {
      const [end, atMs] = [current(), now()];
      const texts: string[] = [];
      for (let index = indexAfter(after); index < end && texts.length < count; index++)
        if (isVisible(index, atMs)) texts.push(textAt(index));
      return texts;
    },
    lastId() {
      let index = current() - 1;
      while (index >= 0 && !isVisible(index, now())) index--;
      return index < 0 ? 0n : BigInt(idNumberAt(index));
    },
    fixed(id) {
      const next = indexAfter(id);
      if (next > current()) return false;
      return late === undefined || next <= events || createdAtMs(next - 1) + late.delayMs <= now();
    },
    grow(more) {
      if (rate > 0) throw new RangeError('a log with a rate grows by itself');
      grown.push({ first: size, atMs: now() });
      size += more;
    },
  };
}

/** A place for each unit of weight, so that an action is found at once. */
const places: readonly Action[] = actions.flatMap((action) => Array.from({ length: action.weight }, () => action));

function eventText(id: number, createdAtMs: number, dice: Prng): string {
  const action = places[dice.below(places.length)] ?? { name: 'audit_log.read', by: 'system', weight: 1 };
  const actor = actorOf(action, dice);
  const meta = action.meta === undefined ? '' : `,"meta":${action.meta(dice)}`;
  return (
    `{"id":${id},"user":${actor.user},"action":"${action.name}","ip":"${actor.address}","userAgent":${actor.agent},` +
    `"createdAt":"${new Date(createdAtMs).toISOString()}"${meta}}`
  );
}

function actorOf(action: Action, dice: Prng): { user: string; agent: string; address: string } {
  if (action.by === 'system') return { user: 'null', ...system };
  if (action.by === 'stranger') return { user: 'null', agent: dice.pick(hostileAgents), address: dice.pick(strangers) };
  const who = dice.pick(action.by === 'admin' ? admins : people);
  return { user: who.user, agent: dice.pick(who.agents), address: dice.pick(who.addresses) };
}

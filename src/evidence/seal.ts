// Above 250 lines: the form of a seal, and how it is written and read.
import { hash } from 'node:crypto';
import type { Cursor } from '../event/event.ts';
import { type IdRange, IdRanges } from '../event/id-ranges.ts';
import { canonicalJson } from './canonical-json.ts';
import type { SigningKey } from './keys.ts';

/** A position in the log and in time. */
export interface Edge {
  /** An event's id, in digits. */
  readonly after: string;
  /** ISO 8601, by QA Sphere's clock. */
  readonly at: string;
}

/** Events of one kind: how many, and which, as inclusive ranges: `100-200,203`. */
export interface Counted {
  readonly count: number;
  readonly ids: string;
}

export interface SealedEvent {
  readonly id: string;
  /** ISO 8601; null if the event has no readable time. */
  readonly createdAt: string | null;
}

/** Ids that may have been delivered twice. */
export interface Resent {
  readonly ids: string;
  readonly reason: string;
}

/** What a person did to the events or the cursor. `ids`: events that may have been delivered again. */
export interface SealedOperation {
  readonly op: 'replay' | 'cursor-set' | 'recover';
  readonly ids?: string;
  readonly from?: string;
  readonly to?: string;
  readonly at?: string;
}

/**
 * A seal covers the ids above `from.after` up to `to.after` of one pipeline. Its line in a file is its canonical JSON
 * (RFC 8785). Hashes are lower-case hex; roots are Merkle roots (RFC 6962). config/evidence/seal.schema.json describes each
 * member.
 */
export interface Seal {
  readonly v: 1;
  /** From 1, without holes. */
  readonly seq: number;
  readonly tenant: string;
  readonly sink: string;
  readonly software: { readonly name: string; readonly version: string };
  /** SHA-256 of the effective configuration without secrets. */
  readonly config: string;
  readonly from: Edge;
  readonly to: Edge;
  readonly delivered: Counted;
  readonly filtered: Counted;
  readonly deadLettered: Counted;
  readonly first?: SealedEvent;
  readonly last?: SealedEvent;
  /** Over the events as QA Sphere sent them, in ascending order of id. */
  readonly source: string;
  /** Over the delivered records. */
  readonly records: string;
  /** Over all events of the chain so far, in the order of its seals. */
  readonly tree: { readonly size: number; readonly root: string; readonly frontier: readonly string[] };
  readonly resent?: readonly Resent[];
  readonly operations?: readonly SealedOperation[];
  /** What an acceptance by the sink means. */
  readonly proof: string;
  /** Of the lease; 0 with files. */
  readonly epoch: number;
  /** SHA-256 of the line before; zeros in the first seal. */
  readonly prev: string;
  /** The seal that this one adds events to: they appeared behind its end. */
  readonly amends?: number;
  /** Id of the key that signed. */
  readonly key: string | null;
  /** Ed25519 over the canonical JSON without this member, base64. */
  readonly sig: string | null;
  /** The key that signs from the next seal on: SPKI DER, base64. */
  readonly nextKey?: string;
  /** The chain was continued from a seal, without its state. */
  readonly recovered?: true;
}

/** `prev` of the first seal. */
export const noSeal = '0'.repeat(64);

/** A seal without the members that signing adds. */
export type UnsignedSeal = Omit<Seal, 'key' | 'sig'>;

/** Completes a seal. `line`: without its line feed. */
export function signSeal(
  seal: UnsignedSeal,
  key: SigningKey | undefined,
): { readonly seal: Seal; readonly line: string } {
  const unsigned = { ...seal, key: key?.id ?? null };
  const signed = { ...unsigned, sig: key === undefined ? null : key.sign(canonicalJson(unsigned)) };
  return { seal: signed, line: canonicalJson(signed) };
}

/** What the signature is made over. */
export function signedText({ sig: _, ...rest }: Seal): string {
  return canonicalJson(rest);
}

/** SHA-256 of a line without its line feed: `prev` of the next seal. */
export const lineHash = (line: string): string => hash('sha256', line, 'hex');

/** `100-200,203`; empty for no ids. */
export const printRanges = (ranges: readonly IdRange[]): string =>
  ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');

/**
 * Ranges in few characters, for the checkpoint: of each the distance of its first id from the last id before, and how many
 * follow it, in base 36. `base`: the id that the first distance is counted from.
 */
export function printCompact(ranges: readonly IdRange[], base: Cursor): string {
  let last = base;
  return ranges
    .map(([from, to]) => {
      const [distance, more] = [from - last, to - from];
      last = to;
      return more === 0n ? distance.toString(36) : `${distance.toString(36)}-${more.toString(36)}`;
    })
    .join(',');
}

/** Parses what `printCompact` printed. @throws {SyntaxError} for anything else */
export function parseCompact(text: string, base: Cursor): IdRange[] {
  let last = base;
  return (text === '' ? [] : text.split(',')).map((part): IdRange => {
    const [distance = '', more = '0'] = part.split('-');
    const from = last + fromBase36(distance);
    last = from + fromBase36(more);
    return [from, last];
  });
}

/** @throws {SyntaxError} */
function fromBase36(text: string): bigint {
  if (!/^[0-9a-z]{1,14}$/.test(text)) throw new SyntaxError('ids of the checkpoint are damaged');
  return [...text].reduce((value, digit) => value * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
}

const rangesForm = /^(\d{1,20}(-\d{1,20})?(,\d{1,20}(-\d{1,20})?)*)?$/;

/** Undefined if the text is no list of ascending, disjoint ranges. */
export function parseRanges(text: string): IdRange[] | undefined {
  if (!rangesForm.test(text)) return undefined;
  if (text === '') return [];
  const ranges = text.split(',').map((part): IdRange => {
    const [from = '', to = from] = part.split('-');
    return [BigInt(from), BigInt(to)];
  });
  let last: Cursor = -1n;
  for (const [from, to] of ranges) {
    if (from <= last || to < from) return undefined;
    last = to;
  }
  return ranges;
}

/** How many ids the ranges hold. */
const countIds = (ranges: readonly IdRange[]): number => IdRanges.of(ranges).size;

export type ParsedSeal =
  | { readonly kind: 'seal'; readonly seal: Seal; readonly line: string }
  /** Not a seal at all: another kind of file. */
  | { readonly kind: 'foreign'; readonly detail: string }
  /** Meant to be a seal, and damaged. */
  | { readonly kind: 'damaged'; readonly detail: string };

/** Parses one line. Never throws, whatever the text is. */
export function parseSeal(line: string): ParsedSeal {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A line that was cut off still shows what it was.
    const isCut = /"(amends|config|deadLettered)":/.test(line.slice(0, 100));
    return isCut ? damaged('it is cut off or no JSON') : { kind: 'foreign', detail: 'it is no JSON' };
  }
  return sealOf(value);
}

/** The seal that a JSON value is. */
export function sealOf(value: unknown): ParsedSeal {
  if (typeof value !== 'object' || value === null || !('prev' in value) || !('seq' in value) || !('tree' in value))
    return { kind: 'foreign', detail: 'it is no seal' };
  const problem = memberProblem(value as Record<string, unknown>);
  if (problem !== undefined) return damaged(problem);
  return { kind: 'seal', seal: value as Seal, line: canonicalJson(value) };
}

const damaged = (detail: string): ParsedSeal => ({ kind: 'damaged', detail });

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string' && value.isWellFormed();
const isHash: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isId: Check = (value) => typeof value === 'string' && /^\d{1,20}$/.test(value);
const isTime: Check = (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value));
const isNumber =
  (least: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const isBase64: Check = (value) => typeof value === 'string' && /^[A-Za-z0-9+/]+={0,2}$/.test(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isRanges: Check = (value) => typeof value === 'string' && parseRanges(value) !== undefined;

/** An object whose members satisfy their checks; further members of newer versions are allowed. */
const object =
  (members: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>> = {}): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(members).every(([name, check]) => check(Reflect.get(value, name))) &&
    Object.entries(optional).every(([name, check]) => {
      const member = Reflect.get(value, name);
      return member === undefined || check(member);
    });

const isEdge = object({ after: isId, at: isTime });
const isCounted: Check = (value) =>
  object({ count: isNumber(0), ids: isRanges })(value) &&
  countIds(parseRanges((value as Counted).ids) ?? []) === (value as Counted).count;
const isSealedEvent = object({ id: isId, createdAt: orNull(isTime) });
const isTree = object({ size: isNumber(0), root: isHash, frontier: listOf(isHash) });

const required: Readonly<Record<string, Check>> = {
  seq: isNumber(1),
  tenant: isText,
  sink: isText,
  software: object({ name: isText, version: isText }),
  config: isHash,
  from: isEdge,
  to: isEdge,
  delivered: isCounted,
  filtered: isCounted,
  deadLettered: isCounted,
  source: isHash,
  records: isHash,
  tree: isTree,
  proof: isText,
  epoch: isNumber(0),
  prev: isHash,
  key: orNull((value) => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)),
  sig: orNull(isBase64),
};
const optional: Readonly<Record<string, Check>> = {
  first: isSealedEvent,
  last: isSealedEvent,
  resent: listOf(object({ ids: isRanges, reason: isText })),
  operations: listOf(object({ op: isText }, { ids: isRanges, from: isText, to: isText, at: isText })),
  amends: isNumber(1),
  nextKey: isBase64,
  recovered: (value) => value === true,
};

/** The first member that is missing or invalid, in words. */
function memberProblem(value: Readonly<Record<string, unknown>>): string | undefined {
  const { v } = value;
  if (v !== 1) return `its version is ${typeof v === 'number' ? v : 'missing'}, and this program reads version 1`;
  for (const [name, check] of Object.entries(required))
    if (!check(value[name])) return `its member ${name} is missing or invalid`;
  for (const [name, check] of Object.entries(optional))
    if (value[name] !== undefined && !check(value[name])) return `its member ${name} is invalid`;
  return undefined;
}

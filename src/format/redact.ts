import { createHmac } from 'node:crypto';
import { type AuditEvent, auditEvent } from '../event/event.ts';
import { decodeString, eachElement, eachMember, endOfValue, skipSpace } from '../event/json-scan.ts';
import type { Secret } from '../lib/secret.ts';
import { type Node, type Path, parsePath, pathTree } from './path.ts';

/** Values that are replaced by a pseudonym: equal values have equal pseudonyms under one key. */
export interface Hashing {
  readonly paths: readonly string[];
  readonly key: Secret;
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

const openBrace = 0x7b;
const openBracket = 0x5b;
const quote = 0x22;
const backslash = 0x5c;
const redacted = '"[redacted]"';

/**
 * Replaces the values at `paths` by `"[redacted]"`, and those at `hash.paths` by the hexadecimal HMAC-SHA-256 of the value:
 * of the content of a string, of the JSON text of anything else. If both match, redaction wins; of two paths the shorter.
 *
 * The rest of the text stays byte for byte. Keys are compared decoded, and each occurrence of a repeated key is replaced. An
 * event without a match is returned as the same object. Time is linear in the text; the stack is no deeper than the longest
 * path.
 */
export function redactor(paths: readonly string[], hash?: Hashing): (event: AuditEvent) => AuditEvent {
  const tree = pathTree([
    ...paths.map((path): [Path, Node['end']] => [parsePath(path), 'redact']),
    ...(hash?.paths ?? []).map((path): [Path, Node['end']] => [parsePath(path), 'hash']),
  ]);
  if (tree === undefined) return (event) => event;
  const key = hash?.key.reveal() ?? '';
  return (event) => {
    const edits: Edit[] = [];
    walk(event.text, skipSpace(event.text, 0), [tree], (from, to, how) => {
      edits.push({ from, to, text: how === 'redact' ? redacted : pseudonym(event.text, from, to, key) });
    });
    if (edits.length === 0) return event;
    const text = applied(event.text, edits);
    const { id, receivedAtMs } = event;
    return auditEvent({ id, receivedAtMs, text });
  };
}

type OnMatch = (from: number, to: number, how: 'redact' | 'hash') => void;

/** Visits everything inside the value at `at`; `nodes` are the nodes of the tree that its path matches. */
function walk(text: Buffer, at: number, nodes: readonly Node[], match: OnMatch): number {
  const visit = (next: readonly Node[], valueAt: number): number | undefined => {
    if (next.length === 0) return undefined;
    const ends = next.map((node) => node.end);
    const how = ends.includes('redact') ? 'redact' : ends.find((end) => end === 'hash');
    if (how === undefined) return walk(text, valueAt, next, match);
    const end = endOfValue(text, valueAt);
    match(valueAt, end, how);
    return end;
  };
  if (text[at] === openBrace)
    return eachMember(text, at, (keyAt, keyEnd, valueAt) => visit(underKey(nodes, text, keyAt, keyEnd), valueAt));
  if (text[at] === openBracket)
    return eachElement(text, at, (valueAt, index) => visit(underIndex(nodes, index), valueAt));
  return endOfValue(text, at);
}

function underKey(nodes: readonly Node[], text: Buffer, keyAt: number, keyEnd: number): readonly Node[] {
  const decoded = isEscaped(text, keyAt, keyEnd) ? decodeString(text, keyAt, keyEnd) : undefined;
  const found: Node[] = [];
  for (const { named, any } of nodes) {
    for (const { name, bytes, node } of named)
      if (decoded === undefined ? isKey(text, keyAt, keyEnd, bytes) : decoded === name) found.push(node);
    if (any !== undefined) found.push(any);
  }
  return found;
}

function underIndex(nodes: readonly Node[], index: number): readonly Node[] {
  const name = String(index);
  return nodes.flatMap(({ named, any }) => [
    ...named.filter((child) => child.name === name).map(({ node }) => node),
    ...(any === undefined ? [] : [any]),
  ]);
}

function isEscaped(text: Buffer, keyAt: number, keyEnd: number): boolean {
  for (let at = keyAt + 1; at < keyEnd; at++) if (text[at] === backslash) return true;
  return false;
}

/** Compares the key between its quotes with these bytes: faster than decoding each key. */
function isKey(text: Buffer, keyAt: number, keyEnd: number, bytes: Buffer): boolean {
  if (bytes.length !== keyEnd - keyAt - 2) return false;
  for (let at = 0; at < bytes.length; at++) if (text[keyAt + 1 + at] !== bytes[at]) return false;
  return true;
}

function pseudonym(text: Buffer, from: number, to: number, key: string): string {
  const content = text[from] === quote ? decodeString(text, from, to) : text.subarray(from, to);
  return `"${createHmac('sha256', key).update(content).digest('hex')}"`;
}

function applied(text: Buffer, edits: readonly Edit[]): Buffer {
  const pieces: Buffer[] = [];
  let done = 0;
  for (const edit of edits) {
    pieces.push(text.subarray(done, edit.from), Buffer.from(edit.text));
    done = edit.to;
  }
  pieces.push(text.subarray(done));
  return Buffer.concat(pieces);
}

import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { parseProxy } from '../proxy.ts';
import { Secret, SecretProblem, SecretSource } from '../secret.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** The longest duration there is, milliseconds. Node's timers overflow at 24.8 days and then fire at once. */
const MAX_DURATION_MS = 24 * 86_400_000;

/** Milliseconds of `500ms 15s 5m 1h 1d`, or undefined; unbounded. */
function millisecondsOf(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (units[match[2] ?? ''] ?? Number.NaN));
}

/** Milliseconds of `500ms 15s 5m 1h 1d`, or undefined; undefined too for more than 24 days. */
export function parseDuration(text: string): number | undefined {
  const ms = millisecondsOf(text);
  return ms === undefined || ms > MAX_DURATION_MS ? undefined : ms;
}

/** A duration as the configuration writes it, in the largest unit that divides it: `90s`, `2h`. */
function formatDuration(ms: number): string {
  const [unit, factor] = Object.entries(units).findLast(([, factor]) => ms > 0 && ms % factor === 0) ?? ['s', 1_000];
  return `${ms / factor}${unit}`;
}

/** Bytes of `512KiB 1MiB 64B`, or undefined. */
function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB|KB|MB|GB)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (sizes[match[2] ?? ''] ?? Number.NaN);
}

const durationForm = 'write a duration such as 500ms, 15s, 5m or 1h';

/** A duration; parses to milliseconds. Bounds are in milliseconds, and at most `MAX_DURATION_MS`. */
export function duration(minMs = 1, maxMs = MAX_DURATION_MS) {
  return z
    .string(durationForm)
    .regex(/^\d{1,12}(\.\d{1,3})?(ms|s|m|h|d)$/, durationForm)
    .transform((text) => millisecondsOf(text) ?? Number.NaN)
    .refine(
      (ms) => ms >= minMs && ms <= maxMs,
      `must be between ${formatDuration(minMs)} and ${formatDuration(maxMs)}`,
    );
}

const sizeForm = 'write a size such as 512KiB or 1MiB';

/** A size; parses to bytes. A bare number is bytes too. */
export function size(minBytes = 1, maxBytes = 1024 ** 3) {
  return z
    .union([z.int(), z.string().regex(/^\d{1,12}(B|KiB|MiB|GiB|KB|MB|GB)$/, sizeForm)], sizeForm)
    .transform((value) => (typeof value === 'number' ? value : (parseSize(value) ?? Number.NaN)))
    .refine((bytes) => bytes >= minBytes && bytes <= maxBytes, `must be between ${minBytes} and ${maxBytes} bytes`);
}

/** A secret's text as it is used: without a byte order mark and what editors leave around it, blanks and line ends. */
const secretText = (text: string): string => text.trim();

/** What is wrong with a secret's text, without quoting it; undefined if it can be used. */
function secretProblem(text: string): string | undefined {
  const value = secretText(text);
  if (value === '') return 'is empty';
  const found = /[^\u0020-\u007e\u00a0-\u00ff]/u.exec(value);
  if (found === null) return undefined;
  if (value.includes('\ufffd') || (value.match(/\0/g)?.length ?? 0) > value.length / 3)
    return 'is not UTF-8 text (UTF-16?): save it as UTF-8';
  const place = `at ${placeOf(text, text.indexOf(value) + found.index)}`;
  const code = found[0].codePointAt(0) ?? 0;
  const isControl = code < 0x20 || (code > 0x7e && code < 0xa0);
  if (isControl) return `contains a control character, ${controlNames[code] ?? codePoint(code)}, ${place}`;
  return `contains a character that is not allowed in an HTTP header, ${codePoint(code)}, ${place}`;
}

const codePoint = (code: number) => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;

const controlNames: Readonly<Record<number, string>> = { 9: 'a tab', 10: 'a line feed', 13: 'a carriage return' };

/** `line 2, column 5` of an offset, both from 1. */
function placeOf(text: string, offset: number): string {
  const before = text
    .slice(0, offset)
    .replace(/^\ufeff/, '')
    .split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** A secret given by value. */
export function secretValue(description: string) {
  return z
    .string()
    .superRefine((text, context) => {
      const problem = secretProblem(text);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .transform((text) => {
      const secret = new Secret(secretText(text));
      return new SecretSource(() => secret);
    })
    .describe(description);
}

/** A secret in a file, read again by `refresh`. No message contains the path: it may be the secret itself by mistake. */
export function secretFile(description: string) {
  return z
    .string()
    .min(1)
    .transform((path, context) => {
      try {
        return new SecretSource(() => secretIn(path), path);
      } catch (error) {
        context.addIssue({ code: 'custom', message: `the file ${fileProblem(error)}` });
        return z.NEVER;
      }
    })
    .describe(description);
}

function secretIn(path: string): Secret {
  const text = readFileSync(path, 'utf8');
  const problem = secretProblem(text);
  if (problem !== undefined) throw new SecretProblem(problem);
  return new Secret(secretText(text));
}

/** The text without the mark that some editors put before it. */
export const withoutByteOrderMark = (text: string): string => text.replace(/^\ufeff/, '');

/** A file that must exist and be readable when the configuration is read; `problemOf` returns what is wrong with its text. */
export function existingFile(description: string, problemOf: (text: string) => string | undefined = () => undefined) {
  return z
    .string()
    .min(1)
    .superRefine((path, context) => {
      try {
        const problem = problemOf(withoutByteOrderMark(readFileSync(path, 'utf8')));
        if (problem !== undefined) context.addIssue({ code: 'custom', message: `the file ${problem}` });
      } catch (error) {
        context.addIssue({ code: 'custom', message: `the file ${fileProblem(error)}` });
      }
    })
    .describe(description);
}

/** Why a file can't be used; does not quote its text. */
export function fileProblem(error: unknown): string {
  if (error instanceof SecretProblem) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'is not readable by this user';
  if (code === 'EISDIR') return 'is a directory';
  return `can't be read (${code})`;
}

/**
 * For a rule over several keys: runs it even if single keys are invalid, so that all problems are reported at once. Invalid
 * keys then have the value from the file, of any type.
 */
export const runEvenIfInvalid = {
  when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null,
};

/** Requires exactly one of `key` and `keyFile`. */
export function oneSecret(key: string) {
  return (options: Readonly<Record<string, unknown>>, context: z.core.$RefinementCtx) => {
    const given = [key, `${key}File`].filter((name) => options[name] !== undefined);
    if (given.length === 0) context.addIssue({ code: 'custom', path: [key], message: `requires ${key} or ${key}File` });
    if (given.length === 2)
      context.addIssue({ code: 'custom', path: [`${key}File`], message: `set ${key} or ${key}File, not both` });
  };
}

/** Whether the host is `localhost`, 127.0.0.0/8 or ::1, as written: no name is resolved. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** A proxy; user and password in it are secret. */
export const proxyUrl = z
  .string()
  .superRefine((text, context) => {
    // Without a scheme it might be a password that stands in the wrong place: only the variables may omit it.
    const parsed = text.includes('://') ? parseProxy(text) : { problem: 'write http://host:port' };
    if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem });
  })
  .transform((text) => new Secret(text))
  .describe('HTTP proxy, http://host:port; may contain user:password@.');

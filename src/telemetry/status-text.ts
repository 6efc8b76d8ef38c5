import { printable } from '../lib/printable.ts';
import type { LastError, SinkStatus, Status } from './status.ts';

const width = 80;

/** The status as text for a person; no line is wider than 80 columns. */
export function statusText(status: Status): string {
  const { version, pid, startedAt, source, sinks, at } = status;
  const age = source.lastPollAgeSeconds;
  const lines = [
    `qasphere-siem-forwarder ${version}, process ${pid}, up ${span((Date.parse(at) - Date.parse(startedAt)) / 1000)}: ${
      status.ready ? 'ready' : 'NOT READY'
    }`,
    ...status.reasons.flatMap(({ code, sink, detail }) =>
      wrapped(`${code}${sink === undefined ? '' : ` ${sink}`}: ${detail}`),
    ),
    '',
    `source: key ${source.key}, last good poll ${age === undefined ? 'none yet' : `${span(age)} ago`}${clock(source.clockDifferenceSeconds)}`,
    ...errorLines(source.lastError),
    '',
    row(['sink', 'state', 'cursor', 'lag', 'rate', 'delivered', 'dead']),
    ...sinks.flatMap((sink) => [sinkRow(sink), ...destinationLines(sink), ...errorLines(sink.lastError)]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Shown only if the difference matters. */
function clock(difference: number | undefined): string {
  if (difference === undefined || Math.abs(difference) < 5) return '';
  return `, local clock ${span(Math.abs(difference))} ${difference > 0 ? 'behind' : 'ahead'}`;
}

function sinkRow({ name, state, cursor, lagSeconds, perSecond, delivered, deadLettered }: SinkStatus): string {
  return row([name, state, cursor ?? '-', span(lagSeconds), `${perSecond}/s`, String(delivered), String(deadLettered)]);
}

const columns = [16, 8, 20, 8, 8, 9, 5];

/** The first two columns are left-aligned, figures right-aligned. Every column is cut to its width; a cursor always fits. */
function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => {
      const size = columns[index] ?? 0;
      const text = cell.length > size ? `${cell.slice(0, size - 1)}…` : cell;
      return index < 2 ? text.padEnd(size) : text.padStart(size);
    })
    .join(' ');
}

const destinationLines = ({ destination }: SinkStatus): string[] =>
  destination === undefined ? [] : wrapped(`to ${destination}`);

const errorLines = (error: LastError | undefined): string[] =>
  error === undefined ? [] : wrapped(`for ${span(error.seconds)}: ${error.detail}`);

/** Broken over at most four lines. */
function wrapped(words: string): string[] {
  const room = width - 4;
  const text = printable(words, 4 * room - 1).slice(0, 4 * room);
  return Array.from({ length: Math.ceil(text.length / room) }, (_, line) =>
    `    ${text.slice(line * room, (line + 1) * room)}`.trimEnd(),
  );
}

/** Seconds as `0s`, `12s`, `3m05s`, `2h07m`, `5d03h`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h${two(Math.floor((whole % 3_600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d${two(Math.floor((whole % 86_400) / 3_600))}h`;
}

import { printable } from '../lib/printable.ts';
import type { SinkStatus, Status, TroubleStatus } from './status.ts';

const width = 80;

/** The status as a person reads it: no line is wider than 80 columns. */
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
    ...troubleLines(source.trouble),
    '',
    row(['sink', 'state', 'cursor', 'lag', 'rate', 'delivered', 'aside']),
    ...sinks.flatMap((sink) => [sinkRow(sink), ...troubleLines(sink.trouble)]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Said only where it may matter. */
function clock(difference: number | undefined): string {
  if (difference === undefined || Math.abs(difference) < 5) return '';
  return `, local clock ${span(Math.abs(difference))} ${difference > 0 ? 'behind' : 'ahead'}`;
}

function sinkRow({ name, state, cursor, lagSeconds, perSecond, delivered, setAside }: SinkStatus): string {
  return row([name, state, cursor ?? '-', span(lagSeconds), `${perSecond}/s`, String(delivered), String(setAside)]);
}

const columns = [16, 8, 20, 8, 8, 9, 5];

/** The first two columns to the left, figures to the right; what is too long is cut, but for the cursor. */
function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => {
      const size = columns[index] ?? 0;
      const text = cell.length > size ? `${cell.slice(0, size - 1)}…` : cell;
      return index < 2 ? text.padEnd(size) : text.padStart(size);
    })
    .join(' ');
}

const troubleLines = (trouble: TroubleStatus | undefined): string[] =>
  trouble === undefined ? [] : wrapped(`for ${span(trouble.seconds)}: ${trouble.detail}`);

/** Over as many lines as it needs, at most four. */
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

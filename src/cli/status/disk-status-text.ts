import { printable } from '../../lib/printable.ts';
import { table } from '../table.ts';
import type { DiskStatus, SinkOnDisk } from './disk-status.ts';

/** The status from disk as a person reads it. */
export function diskStatusText({ directory, holder, sinks }: DiskStatus): string {
  const who =
    holder === undefined
      ? `no daemon is running in ${directory}; as it stands on disk:`
      : `${directory} is held by ${holder}, which does not answer; as it stands on disk:`;
  const heading = ['SINK', 'STATE', 'CURSOR', 'HAS UP TO', 'ABOVE CURSOR', 'UPDATED', 'ASIDE'];
  return `${printable(who, 500)}\n\n${table([heading, ...sinks.map(row)])}${sinks.map(trouble).join('')}`;
}

function row({ sink, state, configured, after, head, delivered, updatedAt, ...counts }: SinkOnDisk): string[] {
  const aside = counts.deadLetters + counts.deadLettersOfReplay;
  const standing = configured ? state : `${state}, not configured`;
  const numbers = [after, head, delivered].map((value) => (value === undefined ? '-' : String(value)));
  return [sink, standing, ...numbers, printable(updatedAt ?? '-', 30), String(aside)];
}

const trouble = ({ sink, detail }: SinkOnDisk) =>
  detail === undefined ? '' : `  ${sink}: ${printable(detail, 500)}\n`;

/** The same for programs; names as in the status of a running daemon. */
export function diskStatusJson({ directory, holder, sinks }: DiskStatus) {
  return {
    format: 1,
    running: holder !== undefined,
    ready: false,
    directory,
    ...(holder !== undefined && { holder }),
    sinks: sinks.map(({ sink, after, head, delivered, ...rest }) => ({
      name: sink,
      ...rest,
      ...(after !== undefined && { cursor: after }),
      ...(head !== undefined && { last: head }),
      ...(delivered !== undefined && { aboveCursor: delivered }),
    })),
  };
}

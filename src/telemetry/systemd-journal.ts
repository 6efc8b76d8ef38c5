import { fstatSync } from 'node:fs';

/** syslog's severities (RFC 5424 section 6.2.1) for our levels, as the journal reads them off a line (sd-daemon(3)). */
const priorities: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/** `<N>`, which gives the line behind it that priority in the journal. */
export function journalPrefix(level: string): string {
  return `<${priorities[level] ?? 6}>`;
}

/** Whether stderr is the journal: JOURNAL_STREAM names the device and inode of its socket (systemd.exec(5)). */
export function stderrIsJournal(env: Readonly<Record<string, string | undefined>>): boolean {
  const stream = env['JOURNAL_STREAM'] ?? '';
  if (stream === '') return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

import { createInterface } from 'node:readline/promises';

/** Asks on stderr and reads a line of standard input: true for y or yes. False where `stop` fires, or input ends. */
export async function confirm(question: string, stop: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new AbortController();
  lines.once('close', () => ended.abort());
  // In a terminal readline takes Ctrl-C for itself.
  lines.on('SIGINT', () => lines.close());
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: AbortSignal.any([stop, ended.signal]) });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    process.stderr.write('\n');
    return false;
  } finally {
    lines.close();
  }
}

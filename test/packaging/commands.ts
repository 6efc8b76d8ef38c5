import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number;
  /** Both outputs, as they came. */
  readonly output: string;
}

/** Runs a program to its end, `input` on its standard input. */
export function runCommand(command: string, args: readonly string[], input: string | Buffer = ''): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 128, output: output.trim() }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

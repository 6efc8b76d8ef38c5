import type { SinkDefinition } from '../definition.ts';
import { type ExecOptions, execOptions } from './options.ts';
import { ExecSink } from './sink.ts';

export const exec = {
  type: 'exec',
  options: execOptions.meta({ title: 'A program of your own' }),
  terms: { probe: 'program', address: 'command', credentials: 'environment' },
  // What else its acceptance means, the program alone knows.
  proof: () => 'stdout',
  destination: ({ command }) => command[0] ?? '',
  open: (options, deps) => new ExecSink(options, deps),
} satisfies SinkDefinition<ExecOptions>;

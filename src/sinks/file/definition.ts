import { resolve } from 'node:path';
import type { SinkDefinition } from '../definition.ts';
import { type FileOptions, fileOptions } from './options.ts';
import { FileSink } from './sink.ts';

export const file = {
  type: 'file',
  options: fileOptions.meta({ title: 'File' }),
  terms: { probe: 'file', address: 'path', credentials: 'the permissions of path' },
  proof: () => 'fsync',
  destination: ({ path }) => path,
  exclusive: ({ path }) => (typeof path === 'string' ? resolve(path) : undefined),
  open: (configured, deps) => new FileSink(configured, deps),
} satisfies SinkDefinition<FileOptions>;

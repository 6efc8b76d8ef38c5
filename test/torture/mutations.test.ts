import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mutations } from '../../torture/mutations.ts';

const source = join(import.meta.dirname, '../../src');

it.each(mutations)('the planted bug "$name" has exactly one place in the sources', ({ file, from }) => {
  expect(readFileSync(join(source, file), 'utf8').split(from)).toHaveLength(2);
});

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { nodeOptions } from '../../packaging/bundle.ts';

it('the image starts the program with the Node options of the single file', () => {
  const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
  expect(JSON.parse(entrypoint)).toEqual(['/nodejs/bin/node', ...nodeOptions, '/app/dist/main.js']);
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { actionsTable, examples } from '../support/docs.ts';

const page = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8');

/** Tables are padded by the formatter. */
const unpadded = (text: string) => text.replace(/ {2,}/g, ' ').replace(/-{3,}/g, '---').replace(/ +\|/g, ' |');

describe('docs/formats.md', () => {
  it.each(examples())('shows the event as %s really is', (_, record) => {
    expect(page).toContain(`\n${record}\n`);
  });

  it('shows the table of actions as it is, with what was derived and what is guessed', () => {
    expect(unpadded(page)).toContain(`\n${unpadded(actionsTable())}\n`);
  });
});
